//! The page of the command line.

use anyhow::Result;
use soloist_devtools::{cargo::cargo, cmd};

/// `docs/reference/cli.md`, as the program writes it.
pub(super) fn page() -> Result<String> {
    let arguments = ["--quiet", "--package", "soloist", "--", "man", "--format", "markdown"];
    cmd::output(cargo("run").args(arguments))
}
