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

const NPM_FOLDER: &str = "npm";
const JCO_FOLDER: &str = "npm-jco";
/// Where npm puts packages in a folder.
const MODULES: &str = "node_modules";

/// The versions of the first two are those that `soloist plugin new` writes. The rest are
/// dependencies of examples.
const PACKAGES: &[&str] =
    &["@bytecodealliance/componentize-js@0.23.0", "esbuild@0.28.2", "hono@4.13.19"];

/// jco shows how JavaScript spells an interface; later versions (1.35) do not read a folder of WIT.
const JCO: &[&str] = &["@bytecodealliance/jco@1.20.0"];

/// Installs the packages where they are missing; returns the folder of their programs.
pub(super) fn ensure() -> Result<PathBuf> {
    installed(NPM_FOLDER, PACKAGES)?;
    // Apart from the others: componentize-js would take it for the newer jco that it needs.
    installed(JCO_FOLDER, JCO)?;
    Ok(modules().join(".bin"))
}

/// Installs packages into a folder of this name.
fn installed(name: &str, packages: &[&str]) -> Result<()> {
    let folder = folder().join(name);
    let note = folder.join("installed");
    let wanted = packages.join(" ");
    if fs::read_to_string(&note).ok().as_ref() != Some(&wanted) {
        fs::create_dir_all(&folder)?;
        let mut npm = Command::new(NPM.ensure()?);
        npm.args(["install", "--no-fund", "--no-audit", "--loglevel=error", "--prefix"]);
        cmd::run(npm.arg(&folder).args(packages))?;
        fs::write(note, wanted)?;
    }
    Ok(())
}

/// The folder of the packages.
pub(super) fn modules() -> PathBuf {
    folder().join(NPM_FOLDER).join(MODULES)
}

/// The program that writes the types of interfaces for JavaScript.
pub(super) fn jco() -> PathBuf {
    folder().join(JCO_FOLDER).join(MODULES).join(".bin/jco")
}
