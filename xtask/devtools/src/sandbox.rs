//! A part of this machine that leaves nothing behind: namespaces of processes, mounts and
//! networks, with this program as their first process.
//!
//! When that ends, in whatever way, the kernel ends every process that it has started,
//! takes every mount away and every network.

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

/// A command of a program that only administrators have on their `PATH`, wherever it is.
pub fn tool(program: &str) -> Command {
    Command::new(cmd::find(program).unwrap_or_else(|| program.into()))
}

/// Runs this very program inside, with `arguments`; `what` that is, for people.
pub fn enter(arguments: &[OsString], what: &str) -> Result<()> {
    // Ctrl-C reaches the inside as well, which then puts everything in order:
    // this process only has to wait for it.
    signal_hook::flag::register(SIGINT, Arc::<AtomicBool>::default())?;
    let mut command = tool("setpriv");
    command
        // Whoever kills this process kills the inside.
        .args(["--pdeathsig", "KILL", "unshare"])
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"])
        .arg(env::current_exe().context("cannot find this program")?)
        .args(arguments);
    let status = command.status().context("cannot start `setpriv`")?;
    if !status.success() {
        // It has said what is wrong.
        bail!("{what} has failed");
    }
    Ok(())
}
