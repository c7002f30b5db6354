//! `soloist plugin compile`: an internal command. A host compiles a plugin in this separate
//! process first, before it compiles it itself.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use crate::cli::{ExitError, ExitKind};
use soloist_guests::plugin::{
    CompileLimits, CompileTarget, PluginEngine, compile_stdin, die_with_parent,
};

/// Compile a plugin from stdin, within limits (internal)
#[derive(Debug, Args)]
#[command(hide = true)]
pub(super) struct CompileArgs {
    /// Where compiled plugins are kept
    #[arg(long)]
    cache: Option<PathBuf>,
    /// The file that functions are kept in
    #[arg(long)]
    functions: Option<PathBuf>,
    /// It is a strategy
    #[arg(long)]
    strategy: bool,
    /// The process to end with
    #[arg(long)]
    parent: i32,
    /// Processor time
    #[arg(long)]
    seconds: u64,
    /// Memory, in bytes
    #[arg(long)]
    memory: u64,
}

/// Compiles; the exit code says that the compilation ended.
pub(super) fn main(args: CompileArgs) -> Result<ExitCode, ExitError> {
    let failed = |error| ExitError::internal("cannot compile within limits", &error);
    die_with_parent(args.parent).map_err(failed)?;
    let engine = match &args.functions {
        Some(functions) => PluginEngine::with_functions(args.cache, functions),
        None => PluginEngine::new(args.cache),
    };
    let engine = engine.map_err(|error| ExitError::broken(&error).with_causes_of(&error))?;
    let limits = CompileLimits { seconds: args.seconds, memory: args.memory };
    let craft = if args.strategy { CompileTarget::Strategy } else { CompileTarget::Action };
    compile_stdin(&engine, craft, limits).map_err(failed)?;
    Ok(ExitKind::Ok.into())
}
