//! HAProxy: the balancer that tests put before hosts, with the checks that it makes by default.

use std::path::PathBuf;

use anyhow::Result;
use soloist_devtools::packages::Package;

const HAPROXY: Package = Package {
    program: "haproxy",
    apt: &[&["haproxy"]],
    dnf: &[&["haproxy"]],
    brew: &[&["haproxy"]],
};

/// The one of this machine, installed where there was none.
pub(crate) fn ensure() -> Result<PathBuf> {
    HAPROXY.ensure()
}
