//! A place where nothing can be left behind.
//!
//! The bench runs as the first process of namespaces of its own: of processes,
//! mounts and networks. When it ends, in whatever way, the kernel ends every
//! process that it has started, takes every mount away and every network. It
//! cannot touch the networks of the machine, for it does not see them.
//!
//! One thing outlives a `kill -9` of the bench: a disk that is stalled at that
//! moment, with the etcd that waits for it. `echo j > /proc/sysrq-trigger` thaws
//! it. Ctrl-C and SIGTERM let the bench thaw it first.

use std::env;
use std::fs;

use anyhow::{Context, Result, bail};
use soloist_devtools::cmd;
pub(super) use soloist_devtools::sandbox::{enter, is_inside, tool};

/// The programs that the bench needs, and the packages of Debian they are in.
const PROGRAMS: [(&str, &str); 10] = [
    ("ip", "iproute2"),
    ("bridge", "iproute2"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("fsfreeze", "util-linux"),
    ("mount", "mount"),
    ("umount", "mount"),
    ("mkfs.ext4", "e2fsprogs"),
    ("etcd", "etcd-server"),
    ("etcdctl", "etcd-client"),
];

/// What is missing to run the bench here; none if nothing is.
pub(super) fn obstacle() -> Option<String> {
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
    let (program, package) = PROGRAMS.into_iter().find(|(program, _)| is_missing(program))?;
    Some(format!("`{program}` is missing: install it with `apt-get install {package}`"))
}

/// Makes the inside ready. Fails if this is the outside.
pub(super) fn settle() -> Result<()> {
    if !is_inside() {
        bail!("run `cargo xtask faults`, which makes the place that this runs in");
    }
    // Where `ip` keeps the names of namespaces: not among the machine's own.
    fs::create_dir_all("/run/netns").context("cannot make /run/netns")?;
    cmd::output(tool("mount").args(["-t", "tmpfs", "none", "/run/netns"])).map(drop)
}
