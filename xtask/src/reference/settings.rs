//! The page of the settings.

use anyhow::Result;
use soloist_devtools::{cargo::cargo, cmd};

/// `docs/reference/settings.md`, from the schema of the settings.
pub(super) fn page() -> Result<String> {
    let arguments = ["--quiet", "--package", "soloist-config", "--example", "reference"];
    cmd::output(cargo("run").args(arguments))
}
