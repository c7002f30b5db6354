//! etcd: what the tests and the benchmarks run beside soloist.

use std::env;
use std::path::PathBuf;

use anyhow::Result;

use crate::packages::Package;

const ETCD: Package = Package {
    program: "etcd",
    // Older Debians and Ubuntus have one package for both programs.
    apt: &[&["etcd-server", "etcd-client"], &["etcd"]],
    dnf: &[&["etcd"]],
    brew: &[&["etcd"]],
};

/// The etcd of this machine, installed where there was none.
pub fn ensure() -> Result<PathBuf> {
    match env::var_os("SOLOIST_TEST_ETCD") {
        Some(chosen) => Ok(PathBuf::from(chosen)),
        None => ETCD.ensure(),
    }
}
