//! Packages of npm: the compiler for JavaScript, a bundler, and libraries of the examples.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::cmd;
use crate::packages::Package;
use crate::tools::folder;

const NPM: Package = Package {
    program: "npm",
    apt: &[&["nodejs", "npm"]],
    dnf: &[&["nodejs", "nodejs-npm"]],
    brew: &[&["node"]],
};

/// The versions of the first two are those that `soloist plugin new` writes. Of jco, which shows how
/// JavaScript spells an interface, later versions (1.35) do not read a folder of WIT. The rest are
/// dependencies of examples.
const PACKAGES: &[&str] = &[
    "@bytecodealliance/componentize-js@0.23.0",
    "esbuild@0.28.2",
    "@bytecodealliance/jco@1.20.0",
    "hono@4.13.19",
];

/// Installs the packages where they are missing; returns the folder of their programs.
pub(super) fn ensure() -> Result<PathBuf> {
    let folder = folder().join("npm");
    let note = folder.join("installed");
    let wanted = PACKAGES.join(" ");
    if fs::read_to_string(&note).ok().as_ref() != Some(&wanted) {
        fs::create_dir_all(&folder)?;
        let mut npm = Command::new(NPM.ensure()?);
        npm.args(["install", "--no-fund", "--no-audit", "--loglevel=error", "--prefix"]);
        cmd::run(npm.arg(&folder).args(PACKAGES))?;
        fs::write(note, wanted)?;
    }
    Ok(modules().join(".bin"))
}

/// The folder of the packages.
pub(super) fn modules() -> PathBuf {
    folder().join("npm/node_modules")
}
