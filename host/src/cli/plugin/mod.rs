//! `soloist plugin`: commands for authors of plugins.

#[cfg(feature = "scaffold")]
mod bindings;
mod compile;
#[cfg(feature = "demo")]
mod example;
mod inspect;
#[cfg(feature = "scaffold")]
mod new;
mod plugin_folder;
mod run;
mod unreadable;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{ExitError, runtime::in_runtime};

/// Start, inspect or run a plugin
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist plugin new hello --lang python
  soloist plugin example
  soloist plugin inspect hello.wasm
  soloist plugin run hello.wasm")]
pub(super) struct PluginArgs {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    #[cfg(feature = "scaffold")]
    New(new::PluginNewArgs),
    #[cfg(feature = "scaffold")]
    Bindings(bindings::BindingsArgs),
    #[cfg(feature = "demo")]
    Example(example::PluginExampleArgs),
    Compile(compile::CompileArgs),
    Inspect(inspect::InspectArgs),
    Run(run::PluginRunArgs),
}

/// Runs the subcommand.
pub(super) fn main(args: PluginArgs) -> Result<ExitCode, ExitError> {
    match args.command {
        #[cfg(feature = "scaffold")]
        PluginCommand::New(args) => new::main(&args),
        #[cfg(feature = "scaffold")]
        PluginCommand::Bindings(args) => bindings::main(&args),
        #[cfg(feature = "demo")]
        PluginCommand::Example(args) => example::main(&args),
        PluginCommand::Compile(args) => compile::main(args),
        PluginCommand::Inspect(args) => inspect::main(&args),
        PluginCommand::Run(args) => in_runtime(run::main(args)),
    }
}
