//! Python, as componentize-py spells it.

use wit_parser::{Function, Type};

use super::{
    Interface, Spelling,
    names::{self, Form, params, snake, upper_camel},
};

pub(super) struct Python;

impl Spelling for Python {
    fn language(&self) -> &'static str {
        "Python"
    }

    fn place(&self, of: &Interface<'_>) -> String {
        let name = snake(of.name());
        if of.exported {
            format!("wit_world.exports.{}", upper_camel(of.name()))
        } else {
            format!("wit_world.imports.{name}")
        }
    }

    fn function(&self, of: &Interface<'_>, function: &Function) -> String {
        // Exported functions are methods of a class, too.
        let method = of.exported || names::resource(of.wit, function).is_some();
        let params =
            params(function).map(|(name, ty)| format!("{}: {}", snake(name), text(of, ty)));
        let own = method.then(|| "self".to_owned());
        let params: Vec<_> = own.into_iter().chain(params).collect();
        let result = match function.result.as_ref().map(|ty| names::form(of.wit, ty)) {
            None | Some(Form::Result(None, _)) => "None".to_owned(),
            Some(Form::Result(Some(ok), _)) => text(of, ok),
            Some(_) => function.result.as_ref().map_or_else(String::new, |ty| text(of, ty)),
        };
        format!("def {}({}) -> {result}", snake(names::item(function)), params.join(", "))
    }

    fn type_name(&self, _: &Interface<'_>, name: &str) -> String {
        upper_camel(name)
    }

    fn field(&self, of: &Interface<'_>, name: &str, ty: &Type) -> String {
        format!("{}: {}", snake(name), text(of, ty))
    }

    fn case(&self, of: &Interface<'_>, variant: &str, name: &str, ty: Option<&Type>) -> String {
        let value = ty.map(|ty| format!("value: {}", text(of, ty))).unwrap_or_default();
        format!("{}_{}({value})", upper_camel(variant), upper_camel(name))
    }
}

fn text(of: &Interface<'_>, ty: &Type) -> String {
    let inner = |ty: &Type| text(of, ty);
    let or_none = |ty: Option<&Type>| ty.map_or_else(|| "None".to_owned(), inner);
    match names::form(of.wit, ty) {
        Form::Bool => "bool".to_owned(),
        Form::String => "str".to_owned(),
        Form::Number(..) | Form::Named(_, true) => "int".to_owned(),
        Form::Named(name, false) => upper_camel(name),
        Form::List(Type::U8) => "bytes".to_owned(),
        Form::List(ty) => format!("List[{}]", inner(ty)),
        Form::Option(ty) => format!("Optional[{}]", inner(ty)),
        Form::Result(ok, err) => format!("Result[{}, {}]", or_none(ok), or_none(err)),
        Form::Tuple(types) => {
            format!("Tuple[{}]", types.iter().map(inner).collect::<Vec<_>>().join(", "))
        }
    }
}
