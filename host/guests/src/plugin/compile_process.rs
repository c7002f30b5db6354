//! Compiling in a process of its own, which [vetting](super::vetting) begins.

use std::{
    io::{self, Read},
    path::Path,
};

use super::{CompileLimits, CompileTarget, Plugin, PluginEngine, Ranker};

/// Compiles what stdin holds; whether it can be is not told, only that there is an end.
pub fn compile_stdin(
    engine: &PluginEngine,
    craft: CompileTarget,
    limits: CompileLimits,
) -> io::Result<()> {
    // Both engines reserve their pools before memory is counted.
    engine.wasi_0_3().map_err(io::Error::other)?;
    limits.apply()?;
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    // The host will find out the same, and says it better.
    match craft {
        CompileTarget::Action => drop(Plugin::from_bytes(engine, Path::new("stdin"), &bytes)),
        CompileTarget::Strategy => drop(Ranker::from_bytes(Path::new("stdin"), &bytes)),
    }
    // The next one takes longer without.
    let _ = engine.keep_functions();
    Ok(())
}
