//! The measured components: each answers with one line, in several languages. They use plain
//! `wasi:http`, so any host of it can run them.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use soloist_devtools::languages::{self, Language};
use soloist_devtools::{cmd, guests, paths};

/// The WIT world of the components that are built here.
const WORLD: &str = include_str!("hello.wit");
const PYTHON: &str = include_str!("hello.py");
const JAVASCRIPT: &str = include_str!("hello.js");

/// The WASI version of the repository, and the one that the JavaScript engine was built for. Hosts
/// accept both.
const OURS: &str = "0.2.12";
const THEIRS: &str = "0.2.10";

/// The paths of the components.
pub(super) struct Components {
    /// In Rust, for WASI 0.2.
    pub(super) rust: PathBuf,
    /// In Rust, for WASI 0.3.
    pub(super) concurrent: PathBuf,
    pub(super) python: PathBuf,
    pub(super) javascript: PathBuf,
}

pub(super) fn build() -> Result<Components> {
    let path = languages::ensure(&[Language::Python, Language::JavaScript])?;
    let guests = guests::test_guests()?;
    let folder = paths::target().join("bench/hello");
    interfaces(&folder.join("wit"))?;
    Ok(Components {
        rust: guests.join("hello.wasm"),
        concurrent: guests.join("concurrent.wasm"),
        python: python(&folder, &path)?,
        javascript: javascript(&folder, &path)?,
    })
}

/// Writes the world and its interfaces in the layout that both compilers expect.
fn interfaces(folder: &Path) -> Result<()> {
    let all = paths::repo().join("wit/deps");
    fs::create_dir_all(folder.join("deps"))?;
    fs::write(folder.join("hello.wit"), WORLD)?;
    for entry in fs::read_dir(&all).with_context(|| format!("cannot read {}", all.display()))? {
        let from = entry?.path();
        if let Some(name) = from.file_name().filter(|_| from.is_file()) {
            let text = fs::read_to_string(&from)?.replace(OURS, THEIRS);
            fs::write(folder.join("deps").join(name), text)?;
        }
    }
    Ok(())
}

fn python(folder: &Path, path: &OsStr) -> Result<PathBuf> {
    let built = folder.join("python.wasm");
    fs::write(folder.join("hello.py"), PYTHON)?;
    let mut compiler = compiler("componentize-py", folder, path);
    compiler.args(["-d", "wit", "-w", "hello", "componentize", "hello", "-o"]);
    cmd::run(compiler.arg(&built))?;
    Ok(built)
}

fn javascript(folder: &Path, path: &OsStr) -> Result<PathBuf> {
    let built = folder.join("javascript.wasm");
    fs::write(folder.join("hello.js"), JAVASCRIPT)?;
    let mut compiler = compiler("componentize-js", folder, path);
    compiler.args(["hello.js", "--wit", "wit", "--world-name", "hello", "--out"]);
    cmd::run(compiler.arg(&built))?;
    Ok(built)
}

fn compiler(program: &str, folder: &Path, path: &OsStr) -> Command {
    // Run by `env`, which searches the child's `PATH`.
    let mut command = Command::new("env");
    command.arg(program).current_dir(folder).env("PATH", path);
    command
}
