//! The program itself, built as users get it.

use std::path::PathBuf;

use anyhow::Result;

use crate::cargo::cargo;
use crate::{cmd, paths};

/// Builds soloist with optimisations and returns where it is.
pub(crate) fn build() -> Result<PathBuf> {
    cmd::run(cargo("build").args(["--release", "--locked", "--package", "soloist"]))?;
    Ok(paths::target().join("release/soloist"))
}
