//! `cargo xtask faults`: a real cluster under real faults, and a checker of the clients' histories.
//!
//! Three etcd members, or one PostgreSQL, and five hosts run on nodes with their own networks and,
//! for the store, their own disks. The store requires logins; etcd lets them expire after a few
//! seconds without use. One fault at
//! a time is injected and healed, by a plan that follows from a seed. Clients send requests to all
//! hosts all the time, and the leader counts some of them in a register in the store. At the end
//! the checker reads all histories.
//!
//! ```text
//!   sandbox ─ the namespaces that everything runs in
//!     run ─ plan (kind) → inject → cluster ─ net, switch (links, frame)
//!      │         │                  ├ member (disk), etcdctl   an etcd
//!      │         │                  ├ postgres (disk)          a PostgreSQL
//!      │         └ injected_fault   ├ host (settings, status)  a soloist
//!      │           (observe)        └ clients (request) → history
//!      └─ checker (promise) ─ epochs → overlap, register (stretch); takeover, hosts → report
//! ```
//!
//! While a fault lasts, hosts are checked too: all of them must report it in time ([`observe`]).
//!
//! The bench cannot make a clock run at another rate: Linux can offset the clocks of a namespace,
//! but not let them drift. The simulation in `host/leadership/tests/simulation` has drifting
//! clocks.
//!
//! Histories, logs and faults are in `target/faults/last`, and the report is
//! `target/faults/report-STORE.md`. A failed run keeps its histories in a folder of its own.

// This program talks to the person who started it; there is no log to write to.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod checker;
mod clients;
mod clock;
mod cluster;
mod disk;
mod etcdctl;
mod frame;
mod history;
mod host;
mod inject;
mod injected_fault;
mod kind;
mod links;
mod member;
mod net;
mod observe;
mod plan;
mod postgres;
mod report;
mod request;
mod run;
mod sandbox;
mod seeds;
mod settings;
mod status;
mod switch;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use clap::Parser;
use soloist_devtools::cargo::cargo;
use soloist_devtools::{cmd, databases, etcd, guests, paths, setup, soloist};

use self::arguments::{Arguments, Faults, Inside, Step};
use self::cluster::ClusterParts;
use self::history::Action;
use self::kind::StoreKind;
use self::run::Run;

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
    if let Some(obstacle) = sandbox::obstacle(faults.store) {
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
        ("--server", server(faults.store)?),
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

/// The runs of `cargo xtask ci`: ten minutes on each store, with the same plans each time.
fn check() -> Result<()> {
    for store in [StoreKind::Etcd, StoreKind::Postgres] {
        check_on(store)?;
    }
    Ok(())
}

fn check_on(store: StoreKind) -> Result<()> {
    if let Some(obstacle) = sandbox::obstacle(store) {
        eprintln!("SKIPPED: the fault bench did not run on {}: {obstacle}", store.name());
        return Ok(());
    }
    run(&Faults {
        store,
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
    let Inside { faults, soloist: built, server, web, files, register } = inside;
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
        report: folder().join(format!("report-{}.md", faults.store.name())),
        parts: ClusterParts {
            soloist,
            store: faults.store,
            server,
            plugins,
            ttl: Duration::from_secs(faults.ttl),
            seed: seeds.first().copied().unwrap_or_default(),
            folder: last,
        },
        seeds,
    };
    run.run()
}

fn server(store: StoreKind) -> Result<PathBuf> {
    match store {
        StoreKind::Etcd => etcd::ensure(),
        StoreKind::Postgres => databases::postgres(),
    }
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
