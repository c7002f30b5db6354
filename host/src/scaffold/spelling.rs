//! `docs/reference/wit.md` spells the interfaces as the real generators do: those of C and Go, by
//! which `soloist plugin bindings` writes `gen/`, and that of `wit_bindgen::generate!` for Rust.
//!
//! `tests/e2e/languages/spelling.rs` does the same with the generator for Python.

use std::fmt::Write as _;

use super::{Language, bindings};
use soloist_guests::plugin::wit;

const PAGE: &str = include_str!("../../../docs/reference/wit.md");

/// Worlds that have all interfaces between them.
const WORLDS: [&str; 3] = ["hooks-plugin", "task-plugin", "strategy-plugin"];

/// What the page says in the rows of a language, in order.
fn spelled(language: &str) -> Vec<String> {
    let row = format!("| {language} | `");
    let cells = PAGE.lines().filter_map(|line| line.strip_prefix(&row)?.strip_suffix("` |"));
    let cells: Vec<_> = cells.map(|cell| cell.replace("\\|", "|")).collect();
    assert!(cells.len() > 60, "{language}: {cells:?}");
    cells
}

/// The bindings for all worlds, as one text with single blanks.
fn generated(language: Language) -> String {
    let mut text = String::new();
    for world in WORLDS {
        for (path, bytes) in bindings::generate(language, world, "example.com/it").unwrap() {
            if path.extension().is_none_or(|extension| extension != "o") {
                text.push_str(&String::from_utf8(bytes).unwrap());
            }
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The bindings for Rust, without blanks and what only qualifies names.
fn generated_rust() -> String {
    let mut text = String::new();
    for world in WORLDS {
        let (mut resolve, package) = wit::resolve().unwrap();
        let world = resolve.select_world(&[package], Some(world)).unwrap();
        let options =
            wit_bindgen_rust::Opts { generate_all: true, ..wit_bindgen_rust::Opts::default() };
        let (mut generator, mut files) = (options.build(), Default::default());
        wit_bindgen_core::WorldGenerator::generate(&mut generator, &mut resolve, world, &mut files)
            .unwrap();
        for (_, bytes) in files.iter() {
            write!(text, "{}", String::from_utf8_lossy(bytes)).unwrap();
        }
    }
    let text: String = text.split_whitespace().collect();
    text.replace("_rt::", "").replace("Vec::<", "Vec<").replace(",)", ")")
}

/// Fails for what `there` does not have.
fn expect(there: &str, wanted: &str, cell: &str) {
    assert!(there.contains(wanted), "no bindings have `{wanted}`; the page says `{cell}`");
}

#[test]
fn c_is_spelled_as_wit_bindgen_does() {
    let there = generated(Language::C);
    for cell in spelled("C") {
        if let Some(prefix) = cell.strip_suffix('…') {
            expect(&there, prefix, &cell);
        } else if let Some((tag, value)) = cell.split_once(", ").filter(|_| !cell.contains('(')) {
            expect(&there, &format!("#define {tag} "), &cell);
            expect(&there, &format!("{};", value.replace("val.", "")), &cell);
        } else if cell.contains(' ') {
            expect(&there, &format!("{cell};"), &cell);
        } else {
            expect(&there, &cell, &cell);
        }
    }
}

#[test]
fn go_is_spelled_as_wit_bindgen_does() {
    let there = generated(Language::Go).replace("witTypes.", "").replace("wasi_io_poll.", "");
    // The package that the present interface is exported from.
    let mut exports = None;
    for cell in spelled("Go") {
        let function = cell.strip_prefix("func ").filter(|it| !it.starts_with("Make"));
        if let Some(package) = cell.strip_prefix("package ") {
            exports = package.starts_with("export_").then(|| package.to_owned());
            expect(&there, package, &cell);
        } else if let (Some(function), Some(package)) = (function, &exports) {
            // Its signature is the user's: the bindings call it.
            let (name, _) = function.split_once('(').unwrap();
            expect(&there, &format!("{package}.{name}("), &cell);
        } else if cell.starts_with("func ") {
            expect(&there, &format!("{cell} {{"), &cell);
        } else if cell.contains(' ') {
            expect(&there, &cell, &cell);
        } else {
            expect(&there, &format!("type {cell} "), &cell);
        }
    }
}

#[test]
fn rust_is_spelled_as_wit_bindgen_does() {
    let there = generated_rust();
    for cell in spelled("Rust") {
        let wanted: String = cell.split_whitespace().collect();
        match cell.strip_suffix("::Guest").unwrap_or(&cell).rsplit_once("::") {
            Some((path, module)) if path.ends_with("soloist::plugin") => {
                expect(&there, &format!("pubmod{module}{{"), &cell);
            }
            _ => expect(&there, &wanted, &cell),
        }
    }
}
