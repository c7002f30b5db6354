//! The page of the command line.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use soloist_devtools::cmd;

/// `docs/reference/cli.md`, as `program` writes it.
pub(super) fn page(program: &Path) -> Result<String> {
    cmd::output(Command::new(program).args(["man", "--format", "markdown"]))
}
