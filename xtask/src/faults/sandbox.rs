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
use std::ffi::OsString;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use signal_hook::consts::SIGINT;

use crate::cmd;

/// The programs that the bench needs, and the packages of Debian they are in.
const PROGRAMS: [(&str, &str); 9] = [
    ("ip", "iproute2"),
    ("bridge", "iproute2"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("fsfreeze", "util-linux"),
    ("mount", "mount"),
    ("umount", "mount"),
    ("mkfs.ext4", "e2fsprogs"),
    ("etcd", "etcd-server"),
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
        let is_chosen = program == "etcd" && env::var_os("SOLOIST_TEST_ETCD").is_some();
        !is_chosen && cmd::find(program).is_none()
    };
    let (program, package) = PROGRAMS.into_iter().find(|(program, _)| is_missing(program))?;
    Some(format!("`{program}` is missing: install it with `apt-get install {package}`"))
}

/// A command of one of the programs that the bench needs, wherever it is.
pub(super) fn tool(program: &str) -> Command {
    Command::new(cmd::find(program).unwrap_or_else(|| program.into()))
}

/// Runs this very program in the sandbox, with `arguments`.
pub(super) fn enter(arguments: &[OsString]) -> Result<()> {
    // Ctrl-C reaches the bench as well, which then puts everything in order:
    // this process only has to wait for it.
    signal_hook::flag::register(SIGINT, Arc::<AtomicBool>::default())?;
    let mut command = tool("setpriv");
    command
        // Whoever kills this process kills the bench.
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(env::current_exe().context("cannot find this program")?)
        .args(arguments);
    let status = command.status().context("cannot start `setpriv`")?;
    if !status.success() {
        // The bench has said what is wrong.
        bail!("the fault bench has failed");
    }
    Ok(())
}

/// Makes the inside ready. Fails if this is the outside.
pub(super) fn settle() -> Result<()> {
    if std::process::id() != 1 {
        bail!("run `cargo xtask faults`, which makes the place that this runs in");
    }
    // Where `ip` keeps the names of namespaces: not among the machine's own.
    fs::create_dir_all("/run/netns").context("cannot make /run/netns")?;
    cmd::output(tool("mount").args(["-t", "tmpfs", "none", "/run/netns"])).map(drop)
}
