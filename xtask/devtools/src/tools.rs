//! What the tasks fetch for themselves lies under `target/tools/`, and touches nothing
//! of the machine.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::cargo::cargo;
use crate::{cmd, paths};

/// Where all of it lies.
pub fn folder() -> PathBuf {
    paths::target().join("tools")
}

/// Makes sure of a program that cargo installs from `package`, and returns the folder
/// that it is in.
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

/// A `PATH` that finds what is in `folders` before what is on `path`.
pub fn before(folders: Vec<PathBuf>, path: &OsStr) -> Result<OsString> {
    env::join_paths(folders.into_iter().chain(env::split_paths(path)))
        .context("a folder on PATH cannot stand there")
}

/// What `PATH` is.
pub fn path() -> OsString {
    env::var_os("PATH").unwrap_or_default()
}
