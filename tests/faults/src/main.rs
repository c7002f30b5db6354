//! `cargo xtask faults`: a real cluster under real faults, and a checker of the clients' histories.
//!
//! Three etcd members and five hosts run on nodes with their own networks and, for etcd, their own
//! disks. etcd requires logins, and lets them expire after a few seconds without use. One fault at
//! a time is injected and healed, by a plan that follows from a seed. Clients send requests to all
//! hosts all the time, and the leader counts some of them in a register in the store. At the end
//! the checker reads all histories.
//!
//! ```text
//!   sandbox ─ the namespaces that everything runs in
//!     run ─ plan (kind) → inject → bed ─ net, switch (links, frame)
//!      │         │                  ├ member (disk), etcdctl   an etcd
//!      │         └ injected (look)  ├ host (settings, status)  a soloist
//!      │                            └ clients (wire)  → history
//!      └─ checker (promise) ─ epochs → overlap, register (stretch); takeover, hosts → report
//! ```
//!
//! While a fault lasts, hosts are checked too: all of them must report it in time ([`look`]).
//!
//! The bench cannot make a clock run at another rate: Linux can offset the clocks of a namespace,
//! but not let them drift. The simulation in `host/tests/simulation` has drifting clocks.
//!
//! Histories, logs and faults are in `target/faults/last`, and the report is
//! `target/faults/report.md`. A failed run keeps its histories in a folder of its own.

// This program talks to the person who started it; there is no log to write to.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bed;
mod checker;
mod clients;
mod clock;
mod disk;
mod etcdctl;
mod frame;
mod history;
mod host;
mod inject;
mod injected;
mod kind;
mod links;
mod look;
mod member;
mod net;
mod plan;
mod report;
mod run;
mod sandbox;
mod seeds;
mod settings;
mod status;
mod switch;
mod wire;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use soloist_devtools::cargo::cargo;
use soloist_devtools::{cmd, etcd, guests, paths, setup, soloist};

use self::bed::Parts;
use self::history::Action;
use self::kind::Kind;
use self::run::Run;

/// Run a cluster under faults, and check what clients see (as root)
#[derive(Parser)]
#[command(name = "cargo xtask faults", bin_name = "cargo xtask faults")]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    step: Option<Step>,
    #[command(flatten)]
    faults: Faults,
}

/// Parts of the bench with their own entry.
#[derive(Subcommand)]
enum Step {
    /// The run that is among the checks
    #[command(hide = true)]
    Check,
    /// The part that runs in the sandbox
    #[command(hide = true)]
    Inside(Box<Inside>),
}

/// How to run the fault bench.
#[derive(Args, Clone)]
struct Faults {
    /// How long to inject faults
    #[arg(long, default_value_t = 10.0, value_name = "N")]
    minutes: f64,
    /// What the plan of faults follows from [default: another one each time]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// A file with a seed a line; each has its share of the time
    #[arg(long, value_name = "FILE", conflicts_with = "seed")]
    seeds_file: Option<PathBuf>,
    /// The lease in seconds; etcd grants whole ones, from 2
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(2..=60))]
    ttl: u64,
    /// Only faults of these kinds, as in the report
    #[arg(long, value_delimiter = ',', value_name = "KIND,…")]
    only: Vec<String>,
    /// Leave the register out
    #[arg(long)]
    without_register: bool,
    /// Take a soloist that is built without optimisations
    #[arg(long)]
    debug_build: bool,
}

/// The arguments of the part in the sandbox.
#[derive(Args)]
struct Inside {
    #[command(flatten)]
    faults: Faults,
    #[arg(long)]
    soloist: PathBuf,
    #[arg(long)]
    etcd: PathBuf,
    #[arg(long)]
    web: PathBuf,
    #[arg(long)]
    files: PathBuf,
    #[arg(long)]
    register: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { step, faults } = Arguments::parse();
    let outcome = match step {
        None => run(&faults),
        Some(Step::Check) => check(),
        Some(Step::Inside(inside)) => run_inside(*inside),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // `{:#}` prints the chain of causes; the debug form would add a backtrace.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Builds everything, and runs the bench in its sandbox. Fails if a promise was broken.
fn run(faults: &Faults) -> Result<()> {
    if let Some(obstacle) = sandbox::obstacle() {
        bail!(obstacle);
    }
    // Checked before the build, so that wrong arguments are reported at once.
    faults.kinds()?;
    faults.seeds()?;
    setup::run()?;
    let program = build(faults.debug_build)?;
    let test_guests = guests::test_guests()?;
    let mut parts = vec![
        ("--soloist", program),
        ("--etcd", etcd::ensure()?),
        ("--web", guests::plugins()?.join("i-am-server.wasm")),
        ("--files", test_guests.join("reach.wasm")),
    ];
    if !faults.without_register {
        parts.push(("--register", test_guests.join("register.wasm")));
    }
    let mut arguments = faults.arguments();
    for (name, path) in parts {
        arguments.extend([name.into(), path.into_os_string()]);
    }
    let outcome = sandbox::enter(&arguments, "the fault bench");
    if outcome.is_err() {
        keep()?;
    }
    outcome
}

/// The run of `cargo xtask ci`: ten minutes, with the same plans each time.
fn check() -> Result<()> {
    if let Some(obstacle) = sandbox::obstacle() {
        eprintln!("SKIPPED: the fault bench did not run: {obstacle}");
        return Ok(());
    }
    run(&Faults {
        minutes: 10.0,
        seed: None,
        seeds_file: Some(paths::repo().join(seeds::OF_CHECKS)),
        ttl: 2,
        only: Vec::new(),
        without_register: false,
        debug_build: false,
    })
}

/// Runs the bench. This is the part in the sandbox.
fn run_inside(inside: Inside) -> Result<()> {
    sandbox::settle()?;
    let Inside { faults, soloist: built, etcd, web, files, register } = inside;
    let seeds = faults.seeds()?;
    let last = last();
    if last.exists() {
        fs::remove_dir_all(&last).with_context(|| format!("cannot empty {}", last.display()))?;
    }
    fs::create_dir_all(&last)?;
    // A copy, so that a build in the meantime does not change the program under test.
    let soloist = folder().join("soloist");
    // Removed first, since an old copy may still be running and cannot be overwritten.
    let _ = fs::remove_file(&soloist);
    fs::copy(&built, &soloist).with_context(|| format!("cannot copy {}", built.display()))?;
    let register = register.map(|register| (Action::Register, register));
    let plugins = [(Action::Web, web), (Action::Files, files)];
    let plugins = plugins.into_iter().chain(register).collect();
    let run = Run {
        kinds: faults.kinds()?,
        lasts: Duration::try_from_secs_f64(faults.minutes * 60.0)?,
        report: folder().join("report.md"),
        parts: Parts {
            soloist,
            etcd,
            plugins,
            ttl: Duration::from_secs(faults.ttl),
            seed: seeds.first().copied().unwrap_or_default(),
            folder: last,
        },
        seeds,
    };
    run.run()
}

impl Faults {
    /// The same options as arguments, for the part in the sandbox.
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["inside".into()];
        arguments.push(format!("--minutes={}", self.minutes).into());
        arguments.push(format!("--ttl={}", self.ttl).into());
        if let Some(seed) = self.seed {
            arguments.push(format!("--seed={seed}").into());
        }
        if let Some(file) = &self.seeds_file {
            arguments.extend(["--seeds-file".into(), file.into()]);
        }
        if !self.only.is_empty() {
            arguments.push(format!("--only={}", self.only.join(",")).into());
        }
        arguments
    }

    fn seeds(&self) -> Result<Vec<u64>> {
        let Some(file) = &self.seeds_file else {
            return Ok(vec![self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000))]);
        };
        let text = fs::read_to_string(file)
            .with_context(|| format!("cannot read the seeds in {}", file.display()))?;
        seeds::parse(&text).with_context(|| format!("in {}", file.display()))
    }

    fn kinds(&self) -> Result<Vec<Kind>> {
        if self.only.is_empty() {
            return Ok(Kind::ALL.to_vec());
        }
        let kind = |name: &String| Kind::ALL.into_iter().find(|kind| kind.name() == name);
        self.only
            .iter()
            .map(|name| {
                kind(name).with_context(|| format!("no kind of fault is {name:?}; {}", kinds()))
            })
            .collect()
    }
}

fn kinds() -> String {
    let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    format!("there are: {}", names.join(", "))
}

fn build(debug: bool) -> Result<PathBuf> {
    if !debug {
        return soloist::build();
    }
    cmd::run(cargo("build").args(["--locked", "--package", "soloist"]))?;
    Ok(paths::target().join("debug/soloist"))
}

fn folder() -> PathBuf {
    paths::target().join("faults")
}

fn last() -> PathBuf {
    folder().join("last")
}

/// Moves the histories of a failed run to a folder that the next run does not empty.
fn keep() -> Result<()> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let place = folder().join(format!("failed-{}", since.as_secs()));
    if Path::new(&last()).exists() {
        fs::rename(last(), &place)?;
        eprintln!("all histories and logs are kept in {}", place.display());
    }
    Ok(())
}
