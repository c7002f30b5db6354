//! faketime: starts a process of the tests with a wrong wall clock.

use std::path::PathBuf;

use anyhow::Result;
use soloist_devtools::packages::Package;

const FAKETIME: Package = Package {
    program: "faketime",
    apt: &[&["faketime"]],
    dnf: &[&["libfaketime"]],
    brew: &[&["libfaketime"]],
};

/// Finds faketime, or installs it.
pub(crate) fn ensure() -> Result<PathBuf> {
    FAKETIME.ensure()
}
