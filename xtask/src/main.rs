//! Development tasks: `cargo xtask …`.
//!
//! Prepares a machine that has only cargo and a C compiler, builds the plugins, and runs the demo,
//! the tests and the checks. The fault bench and the benchmarks are packages of their own, which
//! are compiled on demand. Nothing here is part of the program that users run.

// A task talks to the person who started it; there is no log to write to.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod book;
mod browser;
mod ci;
mod compose;
mod demo;
mod demo_picture;
mod deploy;
mod examples;
mod faketime;
mod fuzz;
mod haproxy;
mod package;
mod reference;
mod terminal_svg;
mod test;
mod workspace_package;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use soloist_devtools::{guests, languages, setup, soloist};

/// Development tasks for soloist.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make sure that this machine can build everything
    Setup,
    /// Build the first-party plugins into plugins/
    Plugins,
    /// Build the example plugins, in five languages, into target/examples/
    Examples,
    /// Build everything and run three hosts on this machine
    Demo {
        /// Handed to `soloist demo`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run all tests, against a real etcd and real components
    Test {
        /// Handed to `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Take the pictures in docs/ again: the demo in a terminal, and the dashboard, which is tested in
    /// Chromium
    Pictures,
    /// Measure soloist and its alternatives
    #[command(disable_help_flag = true)]
    Bench {
        /// Handed to the package `soloist-bench`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run a cluster under faults, and check what clients see (as root)
    #[command(disable_help_flag = true)]
    Faults {
        /// Handed to the package `soloist-faults`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Try the example with Docker: kill, pause, cut off, drop a plugin in (as root)
    Compose(compose::Compose),
    #[command(hide = true)]
    ComposeInside(compose::Inside),
    /// Check the unit, the manifests, the alerts and the dashboard in examples/
    Deploy,
    /// Give the host plugins, settings and requests that are made at random, to find what breaks it
    Fuzz {
        /// One of these alone
        target: Option<fuzz::Target>,
        /// How long each, in seconds
        #[arg(long, default_value_t = 120)]
        seconds: u64,
    },
    /// Write the pages in docs/reference/ from the source
    Reference,
    /// Build the documentation as a book, in target/book/, and look up its links
    Book,
    /// What mdBook calls to have the links of pages rewritten
    #[command(hide = true)]
    BookLinks {
        /// `supports OUTPUT`, or nothing
        arguments: Vec<String>,
    },
    /// Make the archive that a release hands out, in target/package/
    Package,
    /// Run every check: format, lints, tests, documentation, dependencies
    Ci,
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        // `{:#}` prints the chain of causes; the debug form would add a backtrace.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Setup => setup::run(),
        Task::Plugins => {
            setup::run()?;
            guests::plugins().and_then(|folder| demo::embed_plugin(&folder))
        }
        Task::Examples => {
            setup::run()?;
            let path = languages::ensure(languages::ALL)?;
            examples::build(&soloist::build()?, &path, languages::ALL).map(drop)
        }
        Task::Demo { arguments } => demo::run(&arguments),
        Task::Test { arguments } => test::run(&arguments),
        Task::Pictures => demo_picture::take().and_then(|()| browser::pictures()),
        Task::Bench { arguments } => workspace_package::exec(workspace_package::BENCH, &arguments),
        Task::Faults { arguments } => {
            workspace_package::exec(workspace_package::FAULTS, &arguments)
        }
        Task::Compose(compose) => compose::run(&compose),
        Task::ComposeInside(inside) => compose::inside(&inside),
        Task::Deploy => deploy::check(),
        Task::Fuzz { target, seconds } => fuzz::run(target, Duration::from_secs(seconds)),
        Task::Reference => reference::run(),
        Task::Book => book::run(),
        Task::BookLinks { arguments } => book::preprocess(&arguments),
        Task::Package => package::run(),
        Task::Ci => ci::run(),
    }
}
