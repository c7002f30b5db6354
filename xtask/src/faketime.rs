//! faketime: what gives a process of the tests a wall clock that is wrong.

use std::path::PathBuf;

use anyhow::Result;
use soloist_devtools::packages::Package;

const FAKETIME: Package = Package {
    program: "faketime",
    apt: &[&["faketime"]],
    dnf: &[&["libfaketime"]],
    brew: &[&["libfaketime"]],
};

/// The one of this machine, installed where there was none.
pub(crate) fn ensure() -> Result<PathBuf> {
    FAKETIME.ensure()
}
