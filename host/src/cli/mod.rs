//! Arguments in, exit code out; one file a subcommand.

mod backlog;
mod bench;
mod call;
mod client;
mod command;
mod completions;
mod config;
mod count;
mod demo;
mod dev;
mod exit;
mod jobs;
mod logging;
mod logs;
mod orphans;
mod plugin;
mod run;
mod runtime;
mod settings;
mod signals;
mod state;
mod status;
mod table;
mod tasks;
mod temporary;
mod terminal;
mod token;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub use exit::{Exit, ExitError};
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
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(bench::BenchArgs),
    Call(call::CallArgs),
    Cast(call::CastArgs),
    Completions(completions::CompletionsArgs),
    Config(config::ConfigArgs),
    Demo(demo::DemoArgs),
    Dev(dev::DevArgs),
    Drain(command::DrainArgs),
    Jobs(jobs::JobsArgs),
    Logs(logs::LogsArgs),
    #[command(hide = true)]
    Man(completions::ManArgs),
    Pause(command::PauseArgs),
    Plugin(plugin::PluginArgs),
    Remove(command::RemoveArgs),
    Admit(command::AdmitArgs),
    Resign(command::ResignArgs),
    Resume(command::ResumeArgs),
    Run(run::RunArgs),
    State(state::StateArgs),
    Status(status::StatusArgs),
    Tasks(tasks::TasksArgs),
    Token(token::TokenArgs),
    Undrain(command::UndrainArgs),
}

/// Runs the command line of this process and says how it ended.
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
            // Help and version come as errors too, but are what was asked for.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            let _ = error.print();
            exit.into()
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode, ExitError> {
    match command {
        Command::Run(args) => run::main(args),
        Command::Demo(args) => in_runtime(demo::main(args)),
        Command::Dev(args) => in_runtime(dev::main(args)),
        Command::Plugin(args) => plugin::main(args),
        Command::Token(args) => token::main(args),
        Command::Bench(args) => in_runtime(bench::main(args)),
        Command::Call(args) => in_runtime(call::call(args)),
        Command::Cast(args) => in_runtime(call::cast(args)),
        Command::Completions(args) => {
            completions::completions(&args, Cli::command());
            Ok(Exit::Ok.into())
        }
        Command::Config(args) => config::main(args).map(|()| Exit::Ok.into()),
        Command::Man(args) => completions::man(&args, Cli::command()).map(|()| Exit::Ok.into()),
        Command::Tasks(args) => in_runtime(tasks::main(args)),
        Command::Drain(args) => in_runtime(command::drain(args)),
        Command::Pause(args) => in_runtime(command::pause(args)),
        Command::Remove(args) => in_runtime(command::remove(args)),
        Command::Admit(args) => in_runtime(command::admit(args)),
        Command::Resign(args) => in_runtime(command::resign(args)),
        Command::Resume(args) => in_runtime(command::resume(args)),
        Command::Undrain(args) => in_runtime(command::undrain(args)),
        Command::Jobs(args) => in_runtime(jobs::main(args)),
        Command::Logs(args) => in_runtime(logs::main(args)),
        Command::State(args) => in_runtime(state::main(args)),
        Command::Status(args) => in_runtime(status::main(args)),
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
