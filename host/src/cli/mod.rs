//! The command line: arguments in, exit code out. There is one file per subcommand.

mod api_client;
#[cfg(feature = "bench")]
mod bench;
mod call;
mod commands;
#[cfg(feature = "man")]
mod completions;
mod config;
mod count;
#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "scaffold")]
mod dev;
mod exit;
mod jobs;
mod log_backlog;
mod logging;
mod logs;
mod orphans;
mod plugin;
mod run;
mod runtime;
mod settings_args;
mod signals;
mod state;
mod status;
mod tasks;
mod temporary_folder;
mod terminal;
mod text_table;
mod token;
mod version;

use std::process::ExitCode;

#[cfg(any(test, feature = "man"))]
use clap::CommandFactory;
use clap::{Parser, Subcommand};

pub use exit::{ExitError, ExitKind};
use runtime::in_runtime;

/// Many hosts stand by, exactly one performs.
///
/// Hosts campaign for leadership through etcd or an embedded SQLite store; the
/// leader runs the WebAssembly components of the plugins folder.
#[derive(Debug, Parser)]
#[command(
    name = "soloist",
    version,
    long_version = version::LONG,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    #[cfg(feature = "bench")]
    Bench(bench::BenchArgs),
    Call(call::CallArgs),
    Enqueue(call::EnqueueArgs),
    #[cfg(feature = "man")]
    Completions(completions::CompletionsArgs),
    Config(config::ConfigArgs),
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    #[cfg(feature = "scaffold")]
    Dev(dev::DevArgs),
    Drain(commands::DrainArgs),
    Jobs(jobs::JobsArgs),
    Logs(logs::LogsArgs),
    #[cfg(feature = "man")]
    #[command(hide = true)]
    Man(completions::ManArgs),
    Pause(commands::PauseArgs),
    Plugin(plugin::PluginArgs),
    Remove(commands::RemoveArgs),
    Admit(commands::AdmitArgs),
    Resign(commands::ResignArgs),
    Resume(commands::ResumeArgs),
    Run(run::RunArgs),
    State(state::StateArgs),
    Status(status::StatusArgs),
    Tasks(tasks::TasksArgs),
    Token(token::TokenArgs),
    Undrain(commands::UndrainArgs),
}

/// Runs the command line of this process, and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => match dispatch(cli.command) {
            Ok(code) => code,
            Err(error) => {
                terminal::complain(&error.to_string());
                error.exit().into()
            }
        },
        Err(error) => {
            // clap reports help and version as errors too, though they were asked for.
            let exit = if error.use_stderr() { ExitKind::Usage } else { ExitKind::Ok };
            let _ = error.print();
            exit.into()
        }
    }
}

fn dispatch(command: CliCommand) -> Result<ExitCode, ExitError> {
    match command {
        CliCommand::Run(args) => run::main(args),
        #[cfg(feature = "demo")]
        CliCommand::Demo(args) => in_runtime(demo::main(args)),
        #[cfg(feature = "scaffold")]
        CliCommand::Dev(args) => in_runtime(dev::main(args)),
        CliCommand::Plugin(args) => plugin::main(args),
        CliCommand::Token(args) => token::main(args),
        #[cfg(feature = "bench")]
        CliCommand::Bench(args) => in_runtime(bench::main(args)),
        CliCommand::Call(args) => in_runtime(call::call(args)),
        CliCommand::Enqueue(args) => in_runtime(call::enqueue(args)),
        #[cfg(feature = "man")]
        CliCommand::Completions(args) => {
            completions::completions(&args, Cli::command());
            Ok(ExitKind::Ok.into())
        }
        CliCommand::Config(args) => config::main(args).map(|()| ExitKind::Ok.into()),
        #[cfg(feature = "man")]
        CliCommand::Man(args) => {
            completions::man(&args, Cli::command()).map(|()| ExitKind::Ok.into())
        }
        CliCommand::Tasks(args) => in_runtime(tasks::main(args)),
        CliCommand::Drain(args) => in_runtime(commands::drain(args)),
        CliCommand::Pause(args) => in_runtime(commands::pause(args)),
        CliCommand::Remove(args) => in_runtime(commands::remove(args)),
        CliCommand::Admit(args) => in_runtime(commands::admit(args)),
        CliCommand::Resign(args) => in_runtime(commands::resign(args)),
        CliCommand::Resume(args) => in_runtime(commands::resume(args)),
        CliCommand::Undrain(args) => in_runtime(commands::undrain(args)),
        CliCommand::Jobs(args) => in_runtime(jobs::main(args)),
        CliCommand::Logs(args) => in_runtime(logs::main(args)),
        CliCommand::State(args) => in_runtime(state::main(args)),
        CliCommand::Status(args) => in_runtime(status::main(args)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
