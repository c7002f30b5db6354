//! Types and functions of WIT as text.

use wit_parser::{Function, Handle, Resolve, Type, TypeDefKind, TypeId};

/// `function` without its name, as `func(text: string) -> u32`.
pub(super) fn signature(wit: &Resolve, function: &Function) -> String {
    // The first parameter of a method is its resource, which the name of the function has.
    let own = function.params.iter().filter(|param| param.name != "self");
    let params: Vec<_> =
        own.map(|param| format!("{}: {}", param.name, type_text(wit, &param.ty))).collect();
    let result = function.result.map(|ty| format!(" -> {}", type_text(wit, &ty)));
    format!("func({}){}", params.join(", "), result.unwrap_or_default())
}

/// The fields of a record or the cases of a variant, an enum or flags. `None` for types without
/// such parts.
pub(super) fn parts(wit: &Resolve, id: TypeId) -> Option<Vec<String>> {
    let typed = |name: &str, ty: &Type| format!("{name}: {}", type_text(wit, ty));
    Some(match &wit.types[id].kind {
        TypeDefKind::Record(record) => {
            record.fields.iter().map(|field| typed(&field.name, &field.ty)).collect()
        }
        TypeDefKind::Variant(variant) => {
            let text = |name: &str, ty: &Option<Type>| match ty {
                Some(ty) => format!("{name}({})", type_text(wit, ty)),
                None => name.to_owned(),
            };
            variant.cases.iter().map(|case| text(&case.name, &case.ty)).collect()
        }
        TypeDefKind::Enum(it) => it.cases.iter().map(|case| case.name.clone()).collect(),
        TypeDefKind::Flags(it) => it.flags.iter().map(|flag| flag.name.clone()).collect(),
        _ => return None,
    })
}

/// A type as WIT writes it.
fn type_text(wit: &Resolve, ty: &Type) -> String {
    let of = |ty: &Type| type_text(wit, ty);
    let or_nothing = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), of);
    let id = match ty {
        Type::Id(id) => *id,
        Type::Bool => return "bool".to_owned(),
        Type::U8 => return "u8".to_owned(),
        Type::U16 => return "u16".to_owned(),
        Type::U32 => return "u32".to_owned(),
        Type::U64 => return "u64".to_owned(),
        Type::S8 => return "s8".to_owned(),
        Type::S16 => return "s16".to_owned(),
        Type::S32 => return "s32".to_owned(),
        Type::S64 => return "s64".to_owned(),
        Type::F32 => return "f32".to_owned(),
        Type::F64 => return "f64".to_owned(),
        Type::Char => return "char".to_owned(),
        Type::String => return "string".to_owned(),
        Type::ErrorContext => return "error-context".to_owned(),
    };
    let ty = &wit.types[id];
    if let Some(name) = &ty.name {
        return name.clone();
    }
    match &ty.kind {
        TypeDefKind::Option(inner) => format!("option<{}>", of(inner)),
        TypeDefKind::List(inner) => format!("list<{}>", of(inner)),
        TypeDefKind::Result(it) if it.ok.is_none() && it.err.is_none() => "result".to_owned(),
        TypeDefKind::Result(it) if it.err.is_none() => format!("result<{}>", or_nothing(&it.ok)),
        TypeDefKind::Result(it) => {
            format!("result<{}, {}>", or_nothing(&it.ok), or_nothing(&it.err))
        }
        TypeDefKind::Tuple(it) => {
            format!("tuple<{}>", it.types.iter().map(of).collect::<Vec<_>>().join(", "))
        }
        TypeDefKind::Handle(Handle::Own(id)) => of(&Type::Id(*id)),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", of(&Type::Id(*id))),
        TypeDefKind::Type(inner) => of(inner),
        other => other.as_str().to_owned(),
    }
}
