//! The program itself, built as users get it.

use std::path::PathBuf;

use anyhow::Result;

use crate::cargo::cargo;
use crate::{cmd, paths};

/// Builds soloist with optimisations and returns where it is.
pub fn build() -> Result<PathBuf> {
    build_by("release")
}

/// Builds it in the shortest time, for a first look.
pub fn build_for_demo() -> Result<PathBuf> {
    build_by("quick")
}

/// Builds it as it is handed out, which takes longer, and runs faster.
pub fn build_for_others() -> Result<PathBuf> {
    build_by("dist")
}

fn build_by(profile: &str) -> Result<PathBuf> {
    cmd::run(cargo("build").args(["--profile", profile, "--locked", "--package", "soloist"]))?;
    Ok(paths::target().join(profile).join("soloist"))
}
