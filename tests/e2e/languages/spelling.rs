//! `docs/reference/wit.md` spells the interfaces as componentize-py and jco do. Rust, Go and C are
//! held against their generators by the unit tests of `soloist plugin new`.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use super::projects::variable;

const PAGE: &str = include_str!("../../../docs/reference/wit.md");

/// Worlds that have all interfaces between them.
const WORLDS: [&str; 3] = ["hooks-plugin", "task-plugin", "strategy-plugin"];

/// What the page says in the rows of a language, in order.
fn spelled(language: &str) -> Vec<String> {
    let row = format!("| {language} | `");
    let cells = PAGE.lines().filter_map(|line| line.strip_prefix(&row)?.strip_suffix("` |"));
    let cells: Vec<_> = cells.map(|cell| cell.replace("\\|", "|")).collect();
    assert!(cells.len() > 60, "{cells:?}");
    cells
}

/// The bindings for all worlds, as one text. `generator` is the command that makes those of a
/// world, from a folder of WIT, into a folder.
fn generated(generator: impl Fn(&Path, &str, &Path) -> Command) -> String {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut text = String::new();
    for world in WORLDS {
        let folder = TempDir::new().expect("a folder");
        let to = folder.path().join("made");
        let mut command = generator(&wit, world, &to);
        let output = command.env("PATH", variable("SOLOIST_TEST_PATH")).output();
        let output = output.expect("the generator");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        add(&mut text, &to);
    }
    text
}

/// Adds all files in `folder` to `text`, each after its name.
fn add(text: &mut String, folder: &Path) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            add(text, &path);
        } else {
            text.push_str(&format!("\n{}\n", path.display()));
            text.push_str(&fs::read_to_string(path).expect("text"));
        }
    }
}

/// Fails for what `there` does not have.
fn expect(there: &str, wanted: &str, cell: &str) {
    assert!(there.contains(wanted), "no bindings have `{wanted}`; the page says `{cell}`");
}

/// `TermInfo` for `term.TermInfo`.
fn unqualified(text: &str) -> String {
    let mut plain = String::new();
    for letter in text.chars() {
        if letter.is_ascii_uppercase() && plain.ends_with('.') {
            plain.pop();
            let module = plain.trim_end_matches(|c: char| c.is_ascii_lowercase() || c == '_');
            plain.truncate(module.len());
        }
        plain.push(letter);
    }
    plain
}

#[test]
#[ignore = "slow, or its compiler is not at hand: `cargo xtask ci`"]
fn python_is_spelled_as_componentize_py_does() {
    let there = unqualified(&generated(|wit, world, to| {
        let mut command = Command::new("componentize-py");
        command.arg("-d").arg(wit).args(["-w", world, "bindings"]).arg(to);
        command
    }));
    for cell in spelled("Python") {
        if let Some(class) = cell.strip_prefix("wit_world.exports.") {
            expect(&there, &format!("class {class}(Protocol)"), &cell);
        } else if let Some(module) = cell.strip_prefix("wit_world.imports.") {
            expect(&there, &format!("/wit_world/imports/{module}.py\n"), &cell);
        } else if cell.starts_with("def ") {
            expect(&there, &format!("{cell}:\n"), &cell);
        } else if let Some((class, value)) = cell.split_once('(') {
            let value = value.trim_end_matches(')');
            let value = if value.is_empty() { "pass" } else { value };
            expect(&there, &format!("class {class}:\n    {value}\n"), &cell);
        } else if cell.contains(' ') {
            expect(&there, &format!("    {cell}\n"), &cell);
        } else {
            let known = [format!("class {cell}:"), format!("\n{cell} = Union[")];
            assert!(known.iter().any(|it| there.contains(it)), "{cell}");
        }
    }
}

/// Its types are those that `jco types` writes for an editor.
#[test]
#[ignore = "slow, or its compiler is not at hand: `cargo xtask ci`"]
fn javascript_is_spelled_as_jco_does() {
    let there = generated(|wit, world, to| {
        let mut command = Command::new(variable("SOLOIST_TEST_JCO"));
        command.arg("types").arg(wit).args(["--world-name", world, "--out-dir"]).arg(to);
        command
    });
    // A case of a variant has several lines there.
    let there = there.split_whitespace().collect::<Vec<_>>().join(" ");
    for cell in spelled("JavaScript") {
        if let Some(module) = cell.strip_prefix("import … from '") {
            let module = module.trim_end_matches('\'');
            expect(&there, &format!("@module Interface {module} "), &cell);
        } else if let Some(object) = cell.strip_prefix("export const ") {
            let object = object.trim_end_matches(" = { … }");
            expect(&there, &format!("export * as {object} from"), &cell);
        } else if let Some(case) = cell.strip_suffix(" }") {
            expect(&there, &format!("{case}, }}"), &cell);
        } else if cell.contains('(') {
            expect(&there, &format!("{cell};"), &cell);
        } else if cell.contains(": ") {
            expect(&there, &format!(" {cell},"), &cell);
        } else {
            let known = ["interface", "class"].map(|word| format!("export {word} {cell} {{"));
            let union = format!("export type {cell} = {cell}");
            assert!(known.iter().chain([&union]).any(|it| there.contains(it)), "{cell}");
        }
    }
}
