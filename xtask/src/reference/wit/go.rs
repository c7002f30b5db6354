//! Go, as wit-bindgen spells it.

use wit_parser::{Function, Type};

use super::{
    Interface, Spelling,
    names::{self, Form, is_resource, lower_camel, params, snake, upper_camel},
};

pub(super) struct Go;

impl Spelling for Go {
    fn language(&self) -> &'static str {
        "Go"
    }

    fn place(&self, of: &Interface<'_>) -> String {
        let name = snake(of.name());
        if of.exported {
            format!("package export_soloist_plugin_{name}")
        } else {
            format!("package soloist_plugin_{name}")
        }
    }

    fn function(&self, of: &Interface<'_>, function: &Function) -> String {
        let own = names::resource(of.wit, function);
        let own = own.map(|name| format!("(self *{}) ", upper_camel(name))).unwrap_or_default();
        let params = params(function)
            .map(|(name, ty)| format!("{} {}", lower_camel(name), text(of, ty)))
            .collect::<Vec<_>>();
        let result = function.result.as_ref().map(|ty| format!(" {}", text(of, ty)));
        let name = upper_camel(names::item(function));
        format!("func {own}{name}({}){}", params.join(", "), result.unwrap_or_default())
    }

    fn type_name(&self, _: &Interface<'_>, name: &str) -> String {
        upper_camel(name)
    }

    fn field(&self, of: &Interface<'_>, name: &str, ty: &Type) -> String {
        format!("{} {}", upper_camel(name), text(of, ty))
    }

    fn case(&self, of: &Interface<'_>, variant: &str, name: &str, ty: Option<&Type>) -> String {
        let value = ty.map(|ty| format!("value {}", text(of, ty))).unwrap_or_default();
        let variant = upper_camel(variant);
        format!("func Make{variant}{}({value}) {variant}", upper_camel(name))
    }
}

fn text(of: &Interface<'_>, ty: &Type) -> String {
    let inner = |ty: &Type| text(of, ty);
    let or_unit = |ty: Option<&Type>| ty.map_or_else(|| "Unit".to_owned(), inner);
    match names::form(of.wit, ty) {
        Form::Bool => "bool".to_owned(),
        Form::String => "string".to_owned(),
        Form::Number(width, signed) => format!("{}{width}", if signed { "int" } else { "uint" }),
        Form::Named(_, true) => "uint64".to_owned(),
        Form::Named(name, false) if is_resource(of.wit, ty) => format!("*{}", upper_camel(name)),
        Form::Named(name, false) => upper_camel(name),
        Form::List(ty) => format!("[]{}", inner(ty)),
        Form::Option(ty) => format!("Option[{}]", inner(ty)),
        Form::Result(ok, err) => format!("Result[{}, {}]", or_unit(ok), or_unit(err)),
        Form::Tuple(types) => {
            let inner = types.iter().map(inner).collect::<Vec<_>>().join(", ");
            format!("Tuple{}[{inner}]", types.len())
        }
    }
}
