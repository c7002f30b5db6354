//! `cargo xtask demo`: from a fresh clone to a running cluster.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow};
use soloist_devtools::{guests, paths, soloist, wasm_target};

/// Builds everything and replaces this process by `soloist demo`, which gets the arguments `extra`.
pub(crate) fn run(extra: &[OsString]) -> Result<()> {
    eprintln!("1/3 wasm target: {}", wasm_target::TARGET);
    wasm_target::ensure()?;
    eprintln!("2/3 plugins, and their programs");
    eprintln!("3/3 soloist (the first build takes some minutes)");
    // Both builds end with a long step on one core, so they fill each other's idle cores.
    let (plugins, program) = thread::scope(|both| {
        let plugins = both.spawn(guests::plugins_quietly);
        let program = soloist::build_for_demo();
        (plugins.join(), program)
    });
    let (program, plugins) = (program?, plugins.map_err(|_| anyhow!("soloist's own fault"))??);

    let mut demo = Command::new(&program);
    demo.arg("demo").arg("--plugins").arg(plugins).args(extra);
    // Replaces this process, so that Ctrl-C and all other signals reach the demo directly.
    let error = demo.exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

/// The plugin that is part of the program, for a demo without any other.
const EMBEDDED: &str = "host/src/cli/i-am-server.wasm";

/// Renews the plugin that is part of the program from those built in `plugins`.
pub(crate) fn embed_plugin(plugins: &Path) -> Result<()> {
    let place = paths::repo().join(EMBEDDED);
    let name = place.file_name().context("it has a name")?;
    if guests::put(&plugins.join(name), &place)? {
        eprintln!("renewed {EMBEDDED}: commit it");
    }
    Ok(())
}
