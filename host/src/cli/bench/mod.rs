//! `soloist bench`: measures how fast a cluster is, from outside.

mod chart;
mod load;
mod tasks;

use clap::{Args, Subcommand};

use super::ExitError;

/// Measure the performance of a running cluster
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist bench task")]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    bench: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    #[command(visible_alias = "tasks")]
    Task(tasks::BenchTasksArgs),
}

pub(super) async fn main(args: BenchArgs) -> Result<(), ExitError> {
    match args.bench {
        BenchCommand::Task(args) => tasks::main(args).await,
    }
}
