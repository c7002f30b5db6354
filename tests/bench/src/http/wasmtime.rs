//! `wasmtime serve`, of the version that soloist is built with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use soloist_devtools::process::{Running, free_address};
use soloist_devtools::tools;

use super::super::web;
use super::Server;

/// The version, as cargo takes it.
const VERSION: &str = "^48";

/// What serving needs, and all of what makes that quick; the rest of the program only
/// takes time to compile. `run` is there for 48.0.8, whose `serve` does not name all of
/// the crates that it uses.
const FEATURES: &str =
    "serve,run,cranelift,parallel-compilation,pooling-allocator,cache,component-model-async";

/// Makes sure of the program, and returns where it is.
pub(super) fn ensure() -> Result<PathBuf> {
    let options = ["--version", VERSION, "--no-default-features", "--features", FEATURES];
    Ok(tools::install("wasmtime", "wasmtime-cli", &options)?.join("wasmtime"))
}

/// Serves a component, whose instances answer at most `reuse` requests, or as many as
/// the program chooses.
pub(super) fn serve(program: &Path, component: &Path, reuse: Option<usize>) -> Result<Server> {
    let address = free_address()?;
    let mut command = Command::new(program);
    command.args(["serve", "-Scli", "--addr", &address.to_string()]);
    if let Some(reuse) = reuse {
        command.args(["--max-instance-reuse-count", &reuse.to_string()]);
    }
    let mut process = Running::start("wasmtime", command.arg(component))?;
    process.wait_until("serving", || web::is_ok(address, "/"))?;
    Ok(Server { _process: process, _folder: None, address })
}
