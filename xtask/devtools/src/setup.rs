//! `cargo xtask setup`: what building needs beyond cargo and a C compiler.

use anyhow::Result;

use crate::wasm_target;

/// Prepares this machine, quickly where there is nothing left to do.
pub fn run() -> Result<()> {
    wasm_target::ensure()?;
    eprintln!("wasm target  {}", wasm_target::TARGET);
    Ok(())
}
