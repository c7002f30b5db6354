//! Builds the program, in one of three profiles.

use std::path::PathBuf;

use anyhow::Result;

use crate::cargo::cargo;
use crate::{cmd, paths};

/// Builds soloist with optimisations and returns its path.
pub fn build() -> Result<PathBuf> {
    build_by("release")
}

/// Builds it as quickly as possible, without optimisations, for the demo.
pub fn build_for_demo() -> Result<PathBuf> {
    build_by("quick")
}

/// Builds it as it is released: this takes longer, and the program is faster.
pub fn build_for_others() -> Result<PathBuf> {
    build_by("dist")
}

fn build_by(profile: &str) -> Result<PathBuf> {
    cmd::run(cargo("build").args(["--profile", profile, "--locked", "--package", "soloist"]))?;
    Ok(paths::target().join(profile).join("soloist"))
}
