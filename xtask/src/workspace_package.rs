//! Tasks that are packages of their own. Cargo compiles them on demand, which keeps a newcomer's
//! first build small.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use soloist_devtools::cargo::cargo;
use soloist_devtools::{cmd, paths};

/// The package of the fault bench.
pub(crate) const FAULTS: &str = "soloist-faults";
/// The package of the benchmarks.
pub(crate) const BENCH: &str = "soloist-bench";

/// Builds the program of a package and runs it. Fails if the program fails.
pub(crate) fn run(package: &str, arguments: &[&str]) -> Result<()> {
    cmd::run(&mut command(package, arguments)?)
}

/// Like [`run`], but replaces this process: signals such as Ctrl-C, and the exit code, are the
/// program's own. Returns only if cargo cannot be started.
pub(crate) fn exec(package: &str, arguments: &[OsString]) -> Result<()> {
    let mut command = command(package, arguments)?;
    cmd::echo(&command);
    Err(command.exec()).context("cannot start cargo")
}

fn command(package: &str, arguments: &[impl AsRef<OsStr>]) -> Result<Command> {
    let mut command = cargo("run");
    command
        .args(["--locked", "--profile", "quick", "--package", package])
        .arg("--manifest-path")
        .arg(paths::repo().join("Cargo.toml"))
        // Paths in the arguments are relative to the caller's folder.
        .current_dir(env::current_dir().context("this folder is gone")?)
        .arg("--")
        .args(arguments);
    Ok(command)
}
