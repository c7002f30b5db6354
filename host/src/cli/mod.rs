//! The command line: arguments in, exit code out. There is one file per subcommand.

mod api_client;
mod backup;
#[cfg(feature = "bench")]
mod bench;
mod commands;
#[cfg(feature = "man")]
mod completions;
mod config;
mod count;
#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "scaffold")]
mod dev;
#[cfg(feature = "demo")]
mod embedded_plugin;
mod exit;
mod file_alias;
mod job;
mod log_backlog;
mod logging;
mod logs;
#[cfg(feature = "man")]
mod manual;
mod operator;
mod orphans;
mod plugin;
mod run;
mod runtime;
mod settings_args;
mod signals;
mod state;
mod status;
mod store;
mod task;
mod temporary_folder;
mod terminal;
mod text_table;
mod tips;
mod token;
mod version;

use std::process::ExitCode;

#[cfg(any(test, feature = "man"))]
use clap::CommandFactory;
use clap::{Parser, Subcommand};

pub use exit::{ExitError, ExitKind};
use runtime::in_runtime;

/// Run WebAssembly plugins on exactly one host of a cluster
///
/// Many hosts stand by, exactly one performs: hosts elect a leader through a store (PostgreSQL,
/// etcd, or an SQLite file on one machine), the leader runs the components of its plugins folder,
/// and another host takes over when it fails.
///
/// Commands about a cluster ask the control API of any host (--url); those about jobs, tasks and
/// state begin with a noun. `soloist job` and `soloist task` alone list.
#[derive(Debug, Parser)]
#[command(
    name = "soloist",
    version,
    long_version = version::LONG,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  soloist demo                                three hosts on this machine
  soloist run --name a --store postgres://soloist@10.0.0.1/soloist
  soloist status --url http://10.0.0.11:4000,http://10.0.0.12:4000"
)]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Debug, Subcommand)]
enum CliCommand {
    Run(run::RunArgs),
    Status(status::StatusArgs),
    Logs(logs::LogsArgs),
    #[command(visible_aliases = ["resign", "step-down"])]
    Switchover(commands::SwitchoverArgs),
    Pause(commands::PauseArgs),
    Resume(commands::ResumeArgs),
    Drain(commands::DrainArgs),
    #[command(visible_alias = "uncordon")]
    Undrain(commands::UndrainArgs),
    Remove(commands::RemoveArgs),
    Admit(commands::AdmitArgs),
    #[command(visible_alias = "jobs")]
    Job(job::JobArgs),
    #[command(visible_alias = "tasks")]
    Task(task::TaskArgs),
    State(state::StateArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
    Store(store::StoreArgs),
    #[command(visible_alias = "plugins")]
    Plugin(plugin::PluginArgs),
    #[cfg(feature = "scaffold")]
    Dev(dev::DevArgs),
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    Config(config::ConfigArgs),
    #[command(visible_alias = "tokens")]
    Token(token::TokenArgs),
    #[cfg(feature = "bench")]
    Bench(bench::BenchArgs),
    #[cfg(feature = "man")]
    Completions(completions::CompletionsArgs),
    #[cfg(feature = "man")]
    Man(manual::ManArgs),
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
            if let Some(tip) = tips::tip(&error) {
                terminal::complain(&tip.to_string());
                return tip.exit().into();
            }
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
        CliCommand::Status(args) => in_runtime(status::main(args)),
        CliCommand::Logs(args) => in_runtime(logs::main(args)),
        CliCommand::Switchover(args) => in_runtime(commands::switchover(args)),
        CliCommand::Pause(args) => in_runtime(commands::pause(args)),
        CliCommand::Resume(args) => in_runtime(commands::resume(args)),
        CliCommand::Drain(args) => in_runtime(commands::drain(args)),
        CliCommand::Undrain(args) => in_runtime(commands::undrain(args)),
        CliCommand::Remove(args) => in_runtime(commands::remove(args)),
        CliCommand::Admit(args) => in_runtime(commands::admit(args)),
        CliCommand::Job(args) => in_runtime(job::main(args)),
        CliCommand::Task(args) => in_runtime(task::main(args)),
        CliCommand::State(args) => in_runtime(state::main(args)),
        CliCommand::Backup(args) => in_runtime(backup::backup(args)),
        CliCommand::Restore(args) => in_runtime(backup::restore(args)),
        CliCommand::Store(args) => store::main(args),
        CliCommand::Plugin(args) => plugin::main(args),
        #[cfg(feature = "scaffold")]
        CliCommand::Dev(args) => in_runtime(dev::main(args)),
        #[cfg(feature = "demo")]
        CliCommand::Demo(args) => in_runtime(demo::main(args)),
        CliCommand::Config(args) => config::main(args).map(|()| ExitKind::Ok.into()),
        CliCommand::Token(args) => token::main(args),
        #[cfg(feature = "bench")]
        CliCommand::Bench(args) => in_runtime(bench::main(args)),
        #[cfg(feature = "man")]
        CliCommand::Completions(args) => {
            completions::completions(&args, Cli::command());
            Ok(ExitKind::Ok.into())
        }
        #[cfg(feature = "man")]
        CliCommand::Man(args) => manual::main(&args, Cli::command()).map(|()| ExitKind::Ok.into()),
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
