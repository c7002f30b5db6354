//! `cargo xtask reference`: writes the pages in `docs/reference/` from the source, one function a
//! page. A test of the crate that a page describes compares the page with the source.

mod api;
mod metrics;

use std::process::Command;

use anyhow::Result;
use soloist_devtools::cmd;

/// Writes all pages.
pub(crate) fn write() -> Result<()> {
    metrics::write()?;
    api::write()
}

/// Runs the test that compares a page with the source, and lets it write the page.
fn bless(package: &str, test: &str) -> Result<()> {
    let arguments = ["test", "--quiet", "--package", package, "--lib", test];
    cmd::run(Command::new("cargo").args(arguments).env("BLESS", "1"))
}
