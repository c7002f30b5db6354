//! JavaScript, as componentize-js takes it, with the types that jco writes.

use wit_parser::{Function, Type};

use super::{
    Interface, Spelling,
    names::{self, Form, lower_camel, params, upper_camel},
};

pub(super) struct JavaScript;

impl Spelling for JavaScript {
    fn language(&self) -> &'static str {
        "JavaScript"
    }

    fn place(&self, of: &Interface<'_>) -> String {
        if of.exported {
            format!("export const {} = {{ … }}", lower_camel(of.name()))
        } else {
            let version = of.wit.interfaces[of.id].package;
            let version = version.and_then(|id| of.wit.packages[id].name.version.as_ref());
            let version = version.map(|it| format!("@{it}")).unwrap_or_default();
            format!("import … from 'soloist:plugin/{}{version}'", of.name())
        }
    }

    fn function(&self, of: &Interface<'_>, function: &Function) -> String {
        let params = params(function)
            .map(|(name, ty)| format!("{}: {}", lower_camel(name), text(of, ty)))
            .collect::<Vec<_>>();
        let result = match function.result.as_ref().map(|ty| names::form(of.wit, ty)) {
            None | Some(Form::Result(None, _)) => "void".to_owned(),
            Some(Form::Result(Some(ok), _)) => text(of, ok),
            Some(_) => function.result.as_ref().map_or_else(String::new, |ty| text(of, ty)),
        };
        format!("{}({}): {result}", lower_camel(names::item(function)), params.join(", "))
    }

    fn type_name(&self, _: &Interface<'_>, name: &str) -> String {
        upper_camel(name)
    }

    fn field(&self, of: &Interface<'_>, name: &str, ty: &Type) -> String {
        match names::form(of.wit, ty) {
            // A field may be left out.
            Form::Option(ty) => format!("{}?: {}", lower_camel(name), text(of, ty)),
            _ => format!("{}: {}", lower_camel(name), text(of, ty)),
        }
    }

    fn case(&self, of: &Interface<'_>, _: &str, name: &str, ty: Option<&Type>) -> String {
        let value = ty.map(|ty| format!(", val: {}", text(of, ty))).unwrap_or_default();
        format!("{{ tag: '{name}'{value} }}")
    }
}

fn text(of: &Interface<'_>, ty: &Type) -> String {
    let inner = |ty: &Type| text(of, ty);
    let or_void = |ty: Option<&Type>| ty.map_or_else(|| "void".to_owned(), inner);
    match names::form(of.wit, ty) {
        Form::Bool => "boolean".to_owned(),
        Form::String => "string".to_owned(),
        Form::Number(64, _) => "bigint".to_owned(),
        Form::Number(..) => "number".to_owned(),
        Form::Named(name, _) => upper_camel(name),
        Form::List(Type::U8) => "Uint8Array".to_owned(),
        Form::List(ty) => format!("Array<{}>", inner(ty)),
        Form::Option(ty) => format!("{} | undefined", inner(ty)),
        Form::Result(ok, err) => format!("Result<{}, {}>", or_void(ok), or_void(err)),
        Form::Tuple(types) => {
            format!("[{}]", types.iter().map(inner).collect::<Vec<_>>().join(", "))
        }
    }
}
