//! etcd: the store of the tests and the benchmarks.

use std::env;
use std::path::PathBuf;

use anyhow::Result;

use crate::packages::Package;

const ETCD: Package = Package {
    program: "etcd",
    // Older releases of Debian and Ubuntu have one package with both programs.
    apt: &[&["etcd-server", "etcd-client"], &["etcd"]],
    dnf: &[&["etcd"]],
    brew: &[&["etcd"]],
};

/// Finds etcd, or installs it. `SOLOIST_TEST_ETCD` chooses another one.
pub fn ensure() -> Result<PathBuf> {
    match env::var_os("SOLOIST_TEST_ETCD") {
        Some(chosen) => Ok(PathBuf::from(chosen)),
        None => ETCD.ensure(),
    }
}
