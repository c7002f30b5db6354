//! HAProxy: the load balancer that tests put in front of hosts, with its default health checks.

use std::path::PathBuf;

use anyhow::Result;
use soloist_devtools::packages::Package;

const HAPROXY: Package = Package {
    program: "haproxy",
    apt: &[&["haproxy"]],
    dnf: &[&["haproxy"]],
    brew: &[&["haproxy"]],
};

/// Finds HAProxy, or installs it.
pub(crate) fn ensure() -> Result<PathBuf> {
    HAPROXY.ensure()
}
