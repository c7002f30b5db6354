//! `cargo xtask bench`: measures soloist next to its alternatives.
//!
//! Only the ratios count: the load generator and the servers share one machine.

// Clients measure time here; no deadline of soloist depends on it.
#![allow(clippy::disallowed_types)]
// This program talks to the person who started it; there is no log to write to.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod etcd_lock;
mod failover;
mod figures;
mod groups;
mod http;
mod plugins;
mod postgres;
mod relay;
mod store;
mod tasks;
mod web;

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use soloist_devtools::cargo::cargo;
use soloist_devtools::{cmd, etcd, guests, setup, soloist};

use self::failover::{FailoverPlan, Loss};
use self::store::BenchStore;

/// Measure soloist and its alternatives
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

/// What can be measured.
#[derive(Subcommand)]
enum Bench {
    /// Requests a second of plugins, compared with `wasmtime serve` and a bare hyper server
    Http {
        /// Compare with this soloist instead, such as one that was built before a change
        #[arg(long, value_name = "PROGRAM")]
        against: Option<PathBuf>,
    },
    /// What many candidates and many groups cost on etcd
    Crowd,
    /// What groups cost etcd, while nothing changes
    Groups,
    /// What many plugins cost: to start, to hold, and to take over with
    Plugins,
    /// Calls of a task over three hosts, compared with plain requests of HTTP/2
    Tasks,
    /// What it costs to ask a standby that forwards, and the pauses of its clients
    Relay {
        /// How many hand-overs to measure
        #[arg(long, default_value_t = 20)]
        runs: usize,
    },
    /// How long a planned hand-over takes, compared with `etcdctl lock`
    Failover {
        /// How many hand-overs to measure
        #[arg(long, default_value_t = 50)]
        runs: usize,
        /// Kill the leader's process (`kill -9`) under its supervisor instead
        #[arg(long)]
        crash: bool,
        /// Kill its supervisor as well, as a crash of its machine would
        #[arg(long, conflicts_with = "crash")]
        machine_crash: bool,
        /// The store of the hosts
        #[arg(long, value_enum, default_value_t = BenchStore::Etcd)]
        store: BenchStore,
        /// The lease, in seconds
        #[arg(long, default_value_t = 5)]
        ttl: u64,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse().bench) {
        Ok(()) => ExitCode::SUCCESS,
        // `{:#}` prints the chain of causes; the debug form would add a backtrace.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the programs and plugins, and runs one benchmark.
fn run(bench: &Bench) -> Result<()> {
    setup::run()?;
    if matches!(bench, Bench::Crowd) {
        return crowd();
    }
    let program = soloist::build_for_others()?;
    let scratch = tempfile::tempdir()?;
    let context = BenchContext {
        plugins: only_i_am_server(scratch.path())?,
        scratch: scratch.path().to_path_buf(),
        program,
    };
    match bench {
        Bench::Crowd => Ok(()),
        Bench::Groups => groups::run(&context),
        Bench::Http { against: None } => http::run(&context),
        Bench::Http { against: Some(other) } => http::run_against(&context, other),
        Bench::Plugins => plugins::run(&context),
        Bench::Tasks => tasks::run(&context),
        Bench::Relay { runs } => relay::run(&context, (*runs).max(1)),
        Bench::Failover { runs, crash, machine_crash, store, ttl } => {
            let loss = match (crash, machine_crash) {
                (false, false) => Loss::Planned,
                (true, _) => Loss::Crash,
                (false, true) => Loss::MachineCrash,
            };
            let runs = (*runs).max(1);
            failover::run(&context, &FailoverPlan { runs, loss, store: *store, ttl: *ttl })
        }
    }
}

/// Hundreds of hosts in one process: an ignored test of the stores.
fn crowd() -> Result<()> {
    let mut test = cargo("test");
    test.args(["--locked", "-p", "soloist-stores", "--test", "store", "crowd::", "--"])
        .args(["--ignored", "--nocapture", "--test-threads", "1"])
        .env("SOLOIST_TEST_ETCD", etcd::ensure()?);
    cmd::run(&mut test)
}

/// The programs and folders that every benchmark needs.
struct BenchContext {
    /// The soloist to measure.
    program: PathBuf,
    /// A folder with the measured plugin alone, so that no other plugin runs.
    plugins: PathBuf,
    /// A temporary folder, which is removed at the end.
    scratch: PathBuf,
}

impl BenchContext {
    /// A `soloist run` with these plugins, which ignores the settings of the user.
    fn soloist(&self, plugins: &Path) -> Command {
        self.run_of(&self.program, plugins)
    }

    /// The same of another build of soloist.
    fn run_of(&self, program: &Path, plugins: &Path) -> Command {
        let mut command = Command::new(program);
        command.arg("run").arg("--plugins").arg(plugins);
        command.current_dir(&self.scratch);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("SOLOIST_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Writes a configuration with one action, which listens at `web`.
    fn configure(&self, web: SocketAddr) -> Result<PathBuf> {
        let file = self.scratch.join("soloist.toml");
        let action = "[action.i-am-server]\nplugin = \"i-am-server.wasm\"";
        fs::write(&file, format!("{action}\nlisten = \"{web}\"\n"))?;
        Ok(file)
    }
}

fn only_i_am_server(scratch: &Path) -> Result<PathBuf> {
    let built = guests::plugins()?.join("i-am-server.wasm");
    let folder = scratch.join("plugins");
    fs::create_dir(&folder)?;
    fs::copy(built, folder.join("i-am-server.wasm"))?;
    Ok(folder)
}
