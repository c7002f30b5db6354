//! `cargo xtask setup`: installs what building needs in addition to cargo and a C compiler.

use anyhow::Result;

use crate::wasm_target;

/// Prepares this machine. Quick if there is nothing to do.
pub fn run() -> Result<()> {
    wasm_target::ensure()?;
    eprintln!("wasm target  {}", wasm_target::TARGET);
    Ok(())
}
