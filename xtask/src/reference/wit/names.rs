//! Names in the forms that languages write them in.

use wit_parser::{Function, FunctionKind, Handle, Resolve, Type, TypeDefKind, TypeId};

/// `fencing_token` for `fencing-token`.
pub(super) fn snake(name: &str) -> String {
    name.replace('-', "_")
}

/// `FencingToken` for `fencing-token`.
pub(super) fn upper_camel(name: &str) -> String {
    name.split('-').map(capital).collect()
}

/// `fencingToken` for `fencing-token`.
pub(super) fn lower_camel(name: &str) -> String {
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    first + &words.map(capital).collect::<String>()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// The name of a function as WIT has it: `pending-call.get` for a method.
pub(super) fn function(function: &Function) -> &str {
    function.name.rsplit(']').next().unwrap_or_default()
}

/// The name of a function without that of its resource.
pub(super) fn item(function: &Function) -> &str {
    function.name.rsplit(['.', ']']).next().unwrap_or_default()
}

/// The resource of a method.
pub(super) fn resource<'a>(wit: &'a Resolve, function: &Function) -> Option<&'a str> {
    match function.kind {
        FunctionKind::Method(id) => wit.types[id].name.as_deref(),
        _ => None,
    }
}

/// The parameters of a function, without the `self` of a method.
pub(super) fn params(function: &Function) -> impl Iterator<Item = (&str, &Type)> {
    let params = function.params.iter().filter(|param| param.name != "self");
    params.map(|param| (param.name.as_str(), &param.ty))
}

/// What a type is made of, as far as languages tell types apart.
pub(super) enum Form<'a> {
    Bool,
    String,
    /// The width, and whether it has a sign.
    Number(u8, bool),
    /// A type with a name, and whether it is an alias of a number.
    Named(&'a str, bool),
    List(&'a Type),
    Option(&'a Type),
    Result(Option<&'a Type>, Option<&'a Type>),
    Tuple(&'a [Type]),
}

/// The form of `ty`. The interfaces use no other types.
pub(super) fn form<'a>(wit: &'a Resolve, ty: &Type) -> Form<'a> {
    let id = match ty {
        Type::Bool => return Form::Bool,
        Type::String => return Form::String,
        Type::U8 => return Form::Number(8, false),
        Type::U32 => return Form::Number(32, false),
        Type::U64 => return Form::Number(64, false),
        Type::S64 => return Form::Number(64, true),
        Type::Id(id) => *id,
        other => unreachable!("no interface has {other:?}; add it here"),
    };
    let ty = &wit.types[id];
    if let Some(name) = &ty.name {
        return Form::Named(name, is_number(wit, id));
    }
    match &ty.kind {
        TypeDefKind::List(inner) => Form::List(inner),
        TypeDefKind::Option(inner) => Form::Option(inner),
        TypeDefKind::Result(it) => Form::Result(it.ok.as_ref(), it.err.as_ref()),
        TypeDefKind::Tuple(it) => Form::Tuple(&it.types),
        TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => {
            Form::Named(wit.types[*id].name.as_deref().unwrap_or_default(), false)
        }
        other => unreachable!("no interface has {other:?}; add it here"),
    }
}

/// Whether the type is an alias of a number, through any number of interfaces.
fn is_number(wit: &Resolve, id: TypeId) -> bool {
    match wit.types[id].kind {
        TypeDefKind::Type(Type::Id(id)) => is_number(wit, id),
        TypeDefKind::Type(Type::U64) => true,
        _ => false,
    }
}

/// Whether it is a resource, through any number of interfaces.
pub(super) fn is_resource(wit: &Resolve, ty: &Type) -> bool {
    let Type::Id(id) = ty else { return false };
    match &wit.types[*id].kind {
        TypeDefKind::Resource | TypeDefKind::Handle(_) => true,
        TypeDefKind::Type(inner) => is_resource(wit, inner),
        _ => false,
    }
}
