//! The sandbox, which leaves nothing behind on the machine.
//!
//! The bench runs as the first process of its own namespaces of processes, mounts and networks.
//! However it ends, the kernel then kills all processes that it has started, and removes its mounts
//! and networks. The machine's own networks are not visible inside.
//!
//! One thing survives a `kill -9` of the bench: a disk that is stalled at that moment, and the etcd
//! that waits for it. `echo j > /proc/sysrq-trigger` thaws it. After Ctrl-C and SIGTERM the bench
//! thaws it first.

use std::env;
use std::fs;

use anyhow::{Context, Result, bail};
use soloist_devtools::cmd;
pub(super) use soloist_devtools::sandbox::{enter, is_inside, tool};

use super::kind::StoreKind;

/// The programs that the bench needs, and their packages in Debian.
const PROGRAMS: [(&str, &str); 8] = [
    ("ip", "iproute2"),
    ("bridge", "iproute2"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("fsfreeze", "util-linux"),
    ("mount", "mount"),
    ("umount", "mount"),
    ("mkfs.ext4", "e2fsprogs"),
];

/// What it needs on etcd besides. It installs PostgreSQL by itself.
const OF_ETCD: [(&str, &str); 2] = [("etcd", "etcd-server"), ("etcdctl", "etcd-client")];

/// The reason why the bench cannot run here on this store, if there is one.
pub(super) fn obstacle(store: StoreKind) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some(
            "the fault bench makes network namespaces and mounts, which takes root: \
             run it as root, or in a virtual machine where you are"
                .to_owned(),
        );
    }
    let is_missing = |program: &str| {
        let is_chosen = program.starts_with("etcd") && env::var_os("SOLOIST_TEST_ETCD").is_some();
        !is_chosen && cmd::find(program).is_none()
    };
    let of_store = OF_ETCD.into_iter().filter(|_| store == StoreKind::Etcd);
    let mut programs = PROGRAMS.into_iter().chain(of_store);
    let (program, package) = programs.find(|(program, _)| is_missing(program))?;
    Some(format!("`{program}` is missing: install it with `apt-get install {package}`"))
}

/// Prepares the sandbox. Fails outside of one.
pub(super) fn settle() -> Result<()> {
    if !is_inside() {
        bail!("run `cargo xtask faults`, which makes the place that this runs in");
    }
    // `ip` stores the names of namespaces here; the machine's own ones must stay untouched.
    fs::create_dir_all("/run/netns").context("cannot make /run/netns")?;
    cmd::output(tool("mount").args(["-t", "tmpfs", "none", "/run/netns"])).map(drop)
}
