//! The page of the interfaces, in the spelling of each language.
//!
//! The spelling is that of the generators of bindings: wit-bindgen for Rust, Go and C,
//! componentize-py, and jco for JavaScript. A test of `soloist plugin new` holds the page against
//! what they write (`host/src/scaffold/spelling.rs`).

mod c;
mod go;
mod javascript;
mod names;
mod python;
mod rust;

use std::fmt::Write as _;

use anyhow::{Context, Result};
use soloist_devtools::paths;
use wit_parser::{
    Function, InterfaceId, PackageId, Resolve, Type, TypeDef, TypeDefKind, WorldItem,
};

/// An interface, and on which side of a plugin it is.
#[derive(Clone, Copy)]
struct Interface<'a> {
    wit: &'a Resolve,
    id: InterfaceId,
    /// Whether plugins export it; they import the others.
    exported: bool,
}

impl Interface<'_> {
    fn name(&self) -> &str {
        self.wit.interfaces[self.id].name.as_deref().unwrap_or_default()
    }
}

/// How a language spells what is in an interface.
trait Spelling {
    /// The name of the language.
    fn language(&self) -> &'static str;
    /// Where its bindings have the interface.
    fn place(&self, of: &Interface<'_>) -> String;
    /// The signature of a function.
    fn function(&self, of: &Interface<'_>, function: &Function) -> String;
    /// The name of a type.
    fn type_name(&self, of: &Interface<'_>, name: &str) -> String;
    /// A field of a record.
    fn field(&self, of: &Interface<'_>, name: &str, ty: &Type) -> String;
    /// A case of the variant `variant`.
    fn case(&self, of: &Interface<'_>, variant: &str, name: &str, ty: Option<&Type>) -> String;
}

const LANGUAGES: [&dyn Spelling; 5] =
    [&rust::Rust, &python::Python, &javascript::JavaScript, &go::Go, &c::C];

/// The text of the page.
pub(super) fn page() -> Result<String> {
    let mut wit = Resolve::new();
    let (package, _) = wit.push_dir(paths::repo().join("wit"))?;
    let mut page = HEAD.to_owned();
    let mut interfaces: Vec<_> = wit.packages[package].interfaces.values().copied().collect();
    // Those that every plugin can import come first.
    interfaces.sort_by_key(|id| is_exported(&wit, package, *id));
    for id in interfaces {
        let of = Interface { wit: &wit, id, exported: is_exported(&wit, package, id) };
        interface(&mut page, &of)?;
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    Ok(page)
}

fn is_exported(wit: &Resolve, package: PackageId, id: InterfaceId) -> bool {
    let worlds = wit.packages[package].worlds.values();
    let mut exports = worlds.flat_map(|world| wit.worlds[*world].exports.values());
    exports.any(|item| matches!(item, WorldItem::Interface { id: export, .. } if *export == id))
}

const HEAD: &str = "\
# The interfaces of soloist in each language

Generated from [`wit/`](../../wit) by `cargo xtask reference`; do not edit it. The interfaces of WASI (`wasi:http`, `wasi:keyvalue`, `wasi:config` and so on) follow the same rules.

| WIT | Rust | Python | JavaScript | Go | C |
|---|---|---|---|---|---|
| `u32`, `u64`, `s64` | `u32`, `u64`, `i64` | `int` | `number`; `bigint` for 64 bits | `uint32`, `uint64`, `int64` | `uint32_t`, `uint64_t`, `int64_t` |
| `duration`: nanoseconds, a `u64` | `Duration`, which is `u64` | `int` | `Duration`, which is `bigint` | `uint64` | `…_duration_t`, which is `uint64_t` |
| `list<u8>` | `Vec<u8>`, `&[u8]` | `bytes` | `Uint8Array` | `[]uint8` | a pointer `ptr` and a length `len` |
| `option<T>` | `Option<T>` | `Optional[T]` | `T` or `undefined` | `Option[T]` | `is_some` and `val`; as an argument a pointer that may be `NULL` |
| `result<T, E>` of a function | `Result<T, E>` | returns `T`, raises `Err(E)` | returns `T`, throws | `Result[T, E]` | returns `bool`: `true` with `*ret`, `false` with `*err` |

In JavaScript, an error of an imported function is thrown as an `Error` whose `payload` is the value; an exported function throws the value itself, such as `{ tag: 'invalid', val: 'text' }`.

";

fn interface(page: &mut String, of: &Interface<'_>) -> Result<()> {
    let it = &of.wit.interfaces[of.id];
    let side = if of.exported { "A plugin exports it." } else { "A plugin imports it." };
    let docs = it.docs.contents.as_deref().context("an interface without a text")?;
    writeln!(page, "## `{}`\n\n{}\n\n{side}\n", of.name(), docs.trim())?;
    rows(page, |language| language.place(of))?;
    for function in it.functions.values() {
        let name = names::function(function);
        let docs = function.docs.contents.as_deref();
        let docs = docs.with_context(|| format!("{name} has no text"))?;
        writeln!(page, "### `{}.{name}`\n\n{}\n", of.name(), docs.trim())?;
        rows(page, |language| language.function(of, function))?;
    }
    for (name, id) in &it.types {
        let ty = &of.wit.types[*id];
        // Types of other interfaces are described there.
        if !matches!(ty.kind, TypeDefKind::Type(_)) {
            described_type(page, of, name, ty)?;
        }
    }
    Ok(())
}

fn described_type(page: &mut String, of: &Interface<'_>, name: &str, ty: &TypeDef) -> Result<()> {
    let docs = ty.docs.contents.as_deref().with_context(|| format!("{name} has no text"))?;
    writeln!(page, "### {} `{}.{name}`\n\n{}\n", ty.kind.as_str(), of.name(), docs.trim())?;
    rows(page, |language| language.type_name(of, name))?;
    match &ty.kind {
        TypeDefKind::Record(record) => {
            for field in &record.fields {
                let docs = field.docs.contents.as_deref().context("a field without a text")?;
                part(page, &field.name, docs, |it| it.field(of, &field.name, &field.ty))?;
            }
        }
        TypeDefKind::Variant(variant) => {
            for case in &variant.cases {
                let docs = case.docs.contents.as_deref().context("a case without a text")?;
                let ty = case.ty.as_ref();
                part(page, &case.name, docs, |it| it.case(of, name, &case.name, ty))?;
            }
        }
        // The functions of a resource are listed with the others.
        _ => {}
    }
    Ok(())
}

/// A table with a row for each language.
fn rows(page: &mut String, text: impl Fn(&dyn Spelling) -> String) -> Result<()> {
    writeln!(page, "| | |\n|---|---|")?;
    for language in LANGUAGES {
        writeln!(page, "| {} | {} |", language.language(), cell(&text(language)))?;
    }
    writeln!(page)?;
    Ok(())
}

/// A field or a case.
fn part(
    page: &mut String,
    name: &str,
    docs: &str,
    text: impl Fn(&dyn Spelling) -> String,
) -> Result<()> {
    let docs = docs.split_whitespace().collect::<Vec<_>>().join(" ");
    writeln!(page, "`{name}`: {docs}\n")?;
    rows(page, text)
}

/// Code in a cell of a table.
fn cell(code: &str) -> String {
    format!("`{}`", code.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_page_is_up_to_date() -> Result<()> {
        let there = fs::read_to_string(paths::repo().join("docs/reference/wit.md"))?;
        assert!(there == page()?, "docs/reference/wit.md: run `cargo xtask reference`");
        Ok(())
    }
}
