//! What npm has: the engine for JavaScript guests, and what they are bundled by and of.

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

/// The first two are of the versions that `soloist plugin new` names, too; the rest is
/// what examples are made of.
const PACKAGES: &[&str] =
    &["@bytecodealliance/componentize-js@0.23.0", "esbuild@0.28.2", "hono@4.13.19"];

/// Makes sure of the packages, and returns the folder with their programs.
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

/// Where its packages are.
pub(super) fn modules() -> PathBuf {
    folder().join("npm/node_modules")
}
