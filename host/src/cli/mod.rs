//! Arguments in, exit code out; one file a subcommand.

mod client;
mod demo;
mod exit;
mod logging;
mod run;
mod signals;
mod status;
mod table;
mod terminal;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use exit::{Exit, ExitError};

/// Many hosts stand by, exactly one performs.
///
/// Hosts campaign for leadership through etcd or an embedded SQLite store; the
/// leader runs the WebAssembly components of the plugins folder.
#[derive(Debug, Parser)]
#[command(name = "soloist", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Run(run::RunArgs),
    Status(status::StatusArgs),
}

/// Runs the command line of this process and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => match dispatch(cli.command) {
            Ok(()) => Exit::Ok.into(),
            Err(error) => {
                terminal::complain(&error.to_string());
                error.exit().into()
            }
        },
        Err(error) => {
            // Help and version come as errors too, but are what was asked for.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            let _ = error.print();
            exit.into()
        }
    }
}

fn dispatch(command: Command) -> Result<(), ExitError> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| ExitError::internal("cannot start the runtime", &error))?;
    runtime.block_on(async {
        match command {
            Command::Demo(args) => demo::main(args).await,
            Command::Run(args) => run::main(args).await,
            Command::Status(args) => status::main(args).await,
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
