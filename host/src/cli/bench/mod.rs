//! `soloist bench`: how fast a cluster is, measured from outside.

mod chart;
mod client;
mod tasks;

use clap::{Args, Subcommand};

use super::ExitError;

/// Measure what a running cluster does
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    Tasks(tasks::TasksArgs),
}

pub(super) async fn main(args: BenchArgs) -> Result<(), ExitError> {
    match args.bench {
        Bench::Tasks(args) => tasks::main(args).await,
    }
}
