//! `cargo xtask demo`: from a fresh clone to a running cluster.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow};
use soloist_devtools::{guests, soloist, wasm_target};

/// Builds everything and becomes `soloist demo`; `extra` goes to it.
pub(crate) fn run(extra: &[OsString]) -> Result<()> {
    eprintln!("1/3 wasm target: {}", wasm_target::TARGET);
    wasm_target::ensure()?;
    eprintln!("2/3 plugins, and beside them");
    eprintln!("3/3 soloist (the first build takes some minutes)");
    // The longest parts of both keep one core busy, and leave the others to the other.
    let (plugins, program) = thread::scope(|both| {
        let plugins = both.spawn(guests::plugins_quietly);
        let program = soloist::build_for_demo();
        (plugins.join(), program)
    });
    let (program, plugins) = (program?, plugins.map_err(|_| anyhow!("soloist's own fault"))??);

    let mut demo = Command::new(&program);
    demo.arg("demo").arg("--plugins").arg(plugins).args(extra);
    // Not a child: Ctrl-C and every other signal are then its own.
    let error = demo.exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
