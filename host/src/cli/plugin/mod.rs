//! `soloist plugin`: for those who make plugins.

mod bindings;
mod compile;
mod inspect;
mod new;
mod run;
mod scratch;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{ExitError, runtime::in_runtime};

/// Write a plugin, look at one, or run it alone
#[derive(Debug, Args)]
pub(super) struct PluginArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::NewArgs),
    Bindings(bindings::BindingsArgs),
    Compile(compile::CompileArgs),
    Inspect(inspect::InspectArgs),
    Run(run::RunArgs),
}

/// Does what is asked for.
pub(super) fn main(args: PluginArgs) -> Result<ExitCode, ExitError> {
    match args.command {
        Command::New(args) => new::main(&args),
        Command::Bindings(args) => bindings::main(&args),
        Command::Compile(args) => compile::main(args),
        Command::Inspect(args) => inspect::main(&args),
        Command::Run(args) => in_runtime(run::main(args)),
    }
}
