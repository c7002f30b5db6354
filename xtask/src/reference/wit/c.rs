//! C, as wit-bindgen spells it, with the world called `bindings`.

use wit_parser::{Function, Type};

use super::{
    Interface, Spelling,
    names::{self, Form, is_resource, params, snake},
};

pub(super) struct C;

impl Spelling for C {
    fn language(&self) -> &'static str {
        "C"
    }

    fn place(&self, of: &Interface<'_>) -> String {
        format!("{}_…", prefix(of))
    }

    fn function(&self, of: &Interface<'_>, function: &Function) -> String {
        let (own, name) = (names::resource(of.wit, function), snake(names::item(function)));
        let name = match own {
            Some(resource) => format!("{}_method_{}_{name}", prefix(of), snake(resource)),
            None => format!("{}_{name}", prefix(of)),
        };
        let own = own.map(|it| format!("{}_borrow_{}_t self", prefix(of), snake(it)));
        let params = params(function).map(|(name, ty)| argument(of, &snake(name), ty));
        let (returned, out) = results(of, function.result.as_ref());
        let all: Vec<_> = own.into_iter().chain(params).chain(out).collect();
        let all = if all.is_empty() { "void".to_owned() } else { all.join(", ") };
        format!("{returned} {name}({all})")
    }

    fn type_name(&self, of: &Interface<'_>, name: &str) -> String {
        let name = snake(name);
        let it = &of.wit.interfaces[of.id].types;
        let resource = it
            .iter()
            .any(|(other, id)| snake(other) == name && is_resource(of.wit, &Type::Id(*id)));
        format!("{}_{}{name}_t", prefix(of), if resource { "own_" } else { "" })
    }

    fn field(&self, of: &Interface<'_>, name: &str, ty: &Type) -> String {
        format!("{} {}", text(of, ty), snake(name))
    }

    fn case(&self, of: &Interface<'_>, variant: &str, name: &str, ty: Option<&Type>) -> String {
        let tag = format!("{}_{}_{}", prefix(of), snake(variant), snake(name)).to_uppercase();
        let value = ty.map(|ty| format!(", {} val.{}", text(of, ty), snake(name)));
        format!("{tag}{}", value.unwrap_or_default())
    }
}

/// What all names of an interface begin with.
fn prefix(of: &Interface<'_>) -> String {
    let side = if of.exported { "exports_" } else { "" };
    format!("{side}soloist_plugin_{}", snake(of.name()))
}

/// A parameter. What is larger than a number is passed by its address.
fn argument(of: &Interface<'_>, name: &str, ty: &Type) -> String {
    match names::form(of.wit, ty) {
        Form::Option(ty) => format!("{} *maybe_{name}", text(of, ty)),
        Form::Bool | Form::Number(..) | Form::Named(_, true) => format!("{} {name}", text(of, ty)),
        Form::Named(..) if is_resource(of.wit, ty) => format!("{} {name}", text(of, ty)),
        _ => format!("{} *{name}", text(of, ty)),
    }
}

/// What is returned, and the parameters that results are written to.
fn results(of: &Interface<'_>, ty: Option<&Type>) -> (String, Vec<String>) {
    let out = |ty: &Type, name: &str| format!("{} *{name}", text(of, ty));
    let Some(ty) = ty else { return ("void".to_owned(), Vec::new()) };
    match names::form(of.wit, ty) {
        Form::Result(ok, err) => {
            let both = ok.map(|ty| out(ty, "ret")).into_iter();
            ("bool".to_owned(), both.chain(err.map(|ty| out(ty, "err"))).collect())
        }
        Form::Option(ty) => ("bool".to_owned(), vec![out(ty, "ret")]),
        Form::Bool | Form::Number(..) | Form::Named(_, true) => (text(of, ty), Vec::new()),
        Form::Named(..) if is_resource(of.wit, ty) => (text(of, ty), Vec::new()),
        _ => ("void".to_owned(), vec![out(ty, "ret")]),
    }
}

fn text(of: &Interface<'_>, ty: &Type) -> String {
    match names::form(of.wit, ty) {
        Form::Bool => "bool".to_owned(),
        Form::Number(width, signed) => format!("{}int{width}_t", if signed { "" } else { "u" }),
        // Types that are made of no type of an interface belong to the world.
        _ if has_own_name(of, ty) => format!("{}_{}_t", prefix(of), part(of, ty)),
        _ => format!("bindings_{}_t", part(of, ty)),
    }
}

/// Whether a type with a name is part of it.
fn has_own_name(of: &Interface<'_>, ty: &Type) -> bool {
    let inner = |ty: &Type| has_own_name(of, ty);
    match names::form(of.wit, ty) {
        Form::Named(..) => true,
        Form::Bool | Form::String | Form::Number(..) => false,
        Form::List(ty) | Form::Option(ty) => inner(ty),
        Form::Result(ok, err) => ok.is_some_and(inner) || err.is_some_and(inner),
        Form::Tuple(types) => types.iter().any(inner),
    }
}

/// A type within the name of a larger one.
fn part(of: &Interface<'_>, ty: &Type) -> String {
    let inner = |ty: &Type| part(of, ty);
    let or_void = |ty: Option<&Type>| ty.map_or_else(|| "void".to_owned(), inner);
    match names::form(of.wit, ty) {
        Form::Bool => "bool".to_owned(),
        Form::String => "string".to_owned(),
        Form::Number(width, signed) => format!("{}{width}", if signed { "s" } else { "u" }),
        Form::Named(name, _) if is_resource(of.wit, ty) => format!("own_{}", snake(name)),
        Form::Named(name, _) => snake(name),
        Form::List(ty) => format!("list_{}", inner(ty)),
        Form::Option(ty) => format!("option_{}", inner(ty)),
        Form::Result(ok, err) => format!("result_{}_{}", or_void(ok), or_void(err)),
        Form::Tuple(types) => {
            let inner = types.iter().map(inner).collect::<Vec<_>>().join("_");
            format!("tuple{}_{inner}", types.len())
        }
    }
}
