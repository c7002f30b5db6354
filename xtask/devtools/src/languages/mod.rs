//! Compilers for plugins in other languages, with pinned versions, under `target/tools/`.
//!
//! They come from the registries of Python and npm, and change nothing else on the machine. An
//! installed compiler is not looked up again.

mod npm;
mod python;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use crate::tools;

/// A language that plugins are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Compiled by the toolchain that compiles soloist.
    Rust,
    /// Compiled by `componentize-js`, from npm.
    JavaScript,
    /// Compiled by `componentize-py`, from Python's registry.
    Python,
    /// Compiled by zig's clang, from Python's registry.
    C,
    /// Compiled by Go itself, from Python's registry.
    Go,
}

/// All languages.
pub const ALL: &[Language] =
    &[Language::Rust, Language::JavaScript, Language::Python, Language::C, Language::Go];

/// Languages with compilers that are quick to install and to run: every test run includes them.
pub const QUICK: &[Language] = &[Language::Rust, Language::C, Language::Python];

/// Installs the compilers of these languages where they are missing; returns a `PATH` that finds
/// them first.
pub fn ensure(languages: &[Language]) -> Result<OsString> {
    let requirements: Vec<_> = languages.iter().copied().filter_map(python::requirement).collect();
    let mut folders = vec![python::ensure(&requirements)?];
    if languages.contains(&Language::JavaScript) {
        folders.push(npm::ensure()?);
    }
    tools::before(folders, &tools::path())
}

/// Installs a program from Python's registry in one version (`NAME==VERSION`), unless it is
/// installed; returns its folder.
pub fn python_tool(requirement: &str) -> Result<PathBuf> {
    python::ensure(&[requirement])
}

/// The folder of npm's packages, which projects can share.
pub fn node_modules() -> PathBuf {
    npm::modules()
}

/// The program that writes the types of interfaces for JavaScript, once JavaScript is installed.
pub fn jco() -> PathBuf {
    npm::jco()
}
