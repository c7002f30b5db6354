//! Compiles a plugin in a process of its own, which [vetting](super::vetting) starts.

use std::{
    io::{self, Read},
    path::Path,
};

use super::{CompileLimits, CompileTarget, Plugin, PluginEngine, Ranker};

/// Compiles the plugin on stdin within `limits`. The result is not reported, only that compiling
/// came to an end.
pub fn compile_stdin(
    engine: &PluginEngine,
    target: CompileTarget,
    limits: CompileLimits,
) -> io::Result<()> {
    // Both engines reserve their pools of address space before the memory limit is set.
    engine.wasi_0_3().map_err(io::Error::other)?;
    limits.apply()?;
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    // The host compiles the plugin again and reports the error with more context.
    match target {
        CompileTarget::Action => drop(Plugin::from_bytes(engine, Path::new("stdin"), &bytes)),
        CompileTarget::Strategy => drop(Ranker::from_bytes(Path::new("stdin"), &bytes)),
    }
    // A failure here only makes the next compilation slower.
    let _ = engine.keep_functions();
    Ok(())
}
