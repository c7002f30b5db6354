//! A sandbox: new namespaces of processes, mounts and networks, with this program as their first
//! process.
//!
//! However that process ends, the kernel then kills all processes that it has started, and removes
//! its mounts and networks.

use std::env;
use std::ffi::OsString;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use signal_hook::consts::SIGINT;

use crate::cmd;

/// Whether this process is the first one of its namespace.
pub fn is_inside() -> bool {
    std::process::id() == 1
}

/// A command of a program that is often only on the `PATH` of administrators.
pub fn tool(program: &str) -> Command {
    Command::new(cmd::find(program).unwrap_or_else(|| program.into()))
}

/// Runs this program again in a sandbox, with `arguments`. `what` names it in errors.
pub fn enter(arguments: &[OsString], what: &str) -> Result<()> {
    // Ctrl-C also reaches the process inside, which then cleans up. This process only waits for it.
    signal_hook::flag::register(SIGINT, Arc::<AtomicBool>::default())?;
    let mut command = tool("setpriv");
    command
        // If this process is killed, the kernel kills the inside too.
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(env::current_exe().context("cannot find this program")?)
        .args(arguments);
    let status = command.status().context("cannot start `setpriv`")?;
    if !status.success() {
        // The program inside has printed its error.
        bail!("{what} has failed");
    }
    Ok(())
}
