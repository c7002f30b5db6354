//! Tools that tasks download. They are stored under `target/tools/` and change nothing else on the
//! machine.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cargo::cargo;
use crate::{cmd, paths};

/// The folder of all tools.
pub fn folder() -> PathBuf {
    paths::target().join("tools")
}

/// Installs a program from a crate, unless it is installed already; returns its folder.
pub fn install(program: &str, package: &str, options: &[&str]) -> Result<PathBuf> {
    let root = folder().join(program);
    let programs = root.join("bin");
    if !programs.join(program).exists() {
        let mut install = cargo("install");
        install.args([package, "--locked"]).args(options).arg("--root").arg(&root);
        cmd::run(install.env("CARGO_TARGET_DIR", root.join("build")))?;
    }
    Ok(programs)
}

/// A `PATH` that searches `folders` before the folders of `path`.
pub fn before(folders: Vec<PathBuf>, path: &OsStr) -> Result<OsString> {
    env::join_paths(folders.into_iter().chain(env::split_paths(path)))
        .context("a folder on PATH cannot stand there")
}

/// The value of `PATH`.
pub fn path() -> OsString {
    env::var_os("PATH").unwrap_or_default()
}
