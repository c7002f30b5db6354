//! Rust, as `wit_bindgen::generate!` spells it.

use wit_parser::{Function, Type};

use super::{
    Interface, Spelling,
    names::{self, Form, is_resource, params, snake, upper_camel},
};

pub(super) struct Rust;

impl Spelling for Rust {
    fn language(&self) -> &'static str {
        "Rust"
    }

    fn place(&self, of: &Interface<'_>) -> String {
        let name = snake(of.name());
        if of.exported {
            format!("exports::soloist::plugin::{name}::Guest")
        } else {
            format!("soloist::plugin::{name}")
        }
    }

    fn function(&self, of: &Interface<'_>, function: &Function) -> String {
        let own = names::resource(of.wit, function);
        // Imported functions borrow what exported ones own.
        let text = |ty: &Type| if of.exported { owned(of, ty) } else { borrowed(of, ty) };
        let params = params(function).map(|(name, ty)| format!("{}: {}", snake(name), text(ty)));
        let params: Vec<_> = own.map(|_| "&self".to_owned()).into_iter().chain(params).collect();
        let result = function.result.as_ref().map(|ty| format!(" -> {}", owned(of, ty)));
        let name = snake(names::item(function));
        format!("fn {name}({}){}", params.join(", "), result.unwrap_or_default())
    }

    fn type_name(&self, _: &Interface<'_>, name: &str) -> String {
        upper_camel(name)
    }

    fn field(&self, of: &Interface<'_>, name: &str, ty: &Type) -> String {
        format!("{}: {}", snake(name), owned(of, ty))
    }

    fn case(&self, of: &Interface<'_>, _: &str, name: &str, ty: Option<&Type>) -> String {
        let value = ty.map(|ty| format!("({})", owned(of, ty)));
        format!("{}{}", upper_camel(name), value.unwrap_or_default())
    }
}

fn owned(of: &Interface<'_>, ty: &Type) -> String {
    let inner = |ty: &Type| owned(of, ty);
    let or_unit = |ty: Option<&Type>| ty.map_or_else(|| "()".to_owned(), inner);
    match names::form(of.wit, ty) {
        Form::Bool => "bool".to_owned(),
        Form::String => "String".to_owned(),
        Form::Number(width, signed) => format!("{}{width}", if signed { "i" } else { "u" }),
        Form::Named(name, _) => upper_camel(name),
        Form::List(ty) => format!("Vec<{}>", inner(ty)),
        Form::Option(ty) => format!("Option<{}>", inner(ty)),
        Form::Result(ok, err) => format!("Result<{}, {}>", or_unit(ok), or_unit(err)),
        Form::Tuple(types) => {
            format!("({})", types.iter().map(inner).collect::<Vec<_>>().join(", "))
        }
    }
}

fn borrowed(of: &Interface<'_>, ty: &Type) -> String {
    match names::form(of.wit, ty) {
        Form::String => "&str".to_owned(),
        Form::List(ty) => format!("&[{}]", owned(of, ty)),
        Form::Option(ty) => format!("Option<{}>", borrowed(of, ty)),
        Form::Named(name, false) if !is_resource(of.wit, ty) => format!("&{}", upper_camel(name)),
        _ => owned(of, ty),
    }
}
