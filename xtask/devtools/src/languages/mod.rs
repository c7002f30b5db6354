//! The compilers of other languages, each of one version, under `target/tools/`.
//!
//! They come from the registries of Python and npm and touch nothing of the
//! machine. What is there already is not asked for again.

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

/// All of them.
pub const ALL: &[Language] =
    &[Language::Rust, Language::JavaScript, Language::Python, Language::C, Language::Go];

/// Those whose compilers are soon there and soon done: they are part of every
/// test run.
pub const QUICK: &[Language] = &[Language::Rust, Language::C, Language::Python];

/// Makes sure of the compilers of these languages, and returns a `PATH` that
/// finds them first.
pub fn ensure(languages: &[Language]) -> Result<OsString> {
    let requirements: Vec<_> = languages.iter().copied().filter_map(python::requirement).collect();
    let mut folders = vec![python::ensure(&requirements)?];
    if languages.contains(&Language::JavaScript) {
        folders.push(npm::ensure()?);
    }
    tools::before(folders, &tools::path())
}

/// Makes sure of a program that Python's registry has, of one version (`NAME==VERSION`), and
/// returns the folder that it is in.
pub fn python_tool(requirement: &str) -> Result<PathBuf> {
    python::ensure(&[requirement])
}

/// Where npm's packages are, for projects that are to share them.
pub fn node_modules() -> PathBuf {
    npm::modules()
}
