//! What npm has: the engine for JavaScript guests.

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

/// Of the version that `soloist plugin new` names, too.
const COMPONENTIZE: &str = "@bytecodealliance/componentize-js@0.23.0";

/// Makes sure of the engine, and returns the folder with its programs.
pub(super) fn ensure() -> Result<PathBuf> {
    let folder = folder().join("npm");
    let note = folder.join("installed");
    if fs::read_to_string(&note).ok().as_deref() != Some(COMPONENTIZE) {
        fs::create_dir_all(&folder)?;
        let mut npm = Command::new(NPM.ensure()?);
        npm.args(["install", "--no-fund", "--no-audit", "--loglevel=error", "--prefix"]);
        cmd::run(npm.arg(&folder).arg(COMPONENTIZE))?;
        fs::write(note, COMPONENTIZE)?;
    }
    Ok(modules().join(".bin"))
}

/// Where its packages are.
pub(super) fn modules() -> PathBuf {
    folder().join("npm/node_modules")
}
