//! `wasmtime serve`, in the version that soloist is built with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use soloist_devtools::process::{Running, free_address};
use soloist_devtools::tools;

use super::super::web;
use super::Server;

/// The version, as a cargo requirement.
const VERSION: &str = "^48";

/// The features that serving needs, and those that make it fast; others only take time to compile.
/// 48.0.8 needs `run`, since its `serve` does not name all crates that it uses.
const FEATURES: &str =
    "serve,run,cranelift,parallel-compilation,pooling-allocator,cache,component-model-async";

/// Installs wasmtime, unless it is installed; returns its path.
pub(super) fn ensure() -> Result<PathBuf> {
    let options = ["--version", VERSION, "--no-default-features", "--features", FEATURES];
    Ok(tools::install("wasmtime", "wasmtime-cli", &options)?.join("wasmtime"))
}

/// Serves a component. An instance answers at most `reuse` requests; none leaves that to wasmtime.
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
