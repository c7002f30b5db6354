//! `cargo xtask ci`: every check, including the slow ones.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use soloist_devtools::cargo::{cargo, guest_cargo};
use soloist_devtools::wasm_target::TARGET;
use soloist_devtools::{cmd, guests, paths, setup};

use crate::{book, browser, compose, deploy, fuzz, package, test, workspace_package};

/// The number of simulated worlds: this takes less than a minute on two cores.
const WORLDS: &str = "100000";

/// Tests that `cargo xtask test` repeats a few times, and that run here long enough to meet rare
/// events: the test, the variable that sets the number of repetitions, and that number.
const OFTEN: [[&str; 3]; 6] = [
    // Leaders that wake from a freeze, on each store.
    ["frozen::", "SOLOIST_FREEZES", "100"],
    // A plugin that is replaced under load; after this many times a memory leak would show.
    ["replaced_under_load", "SOLOIST_RELOADS", "1000"],
    // Leaders that are killed while they run a job every second, for each policy on missed runs.
    ["killed_leaders", "SOLOIST_JOB_KILLS", "20"],
    // Queued calls, while the hosts that execute them are killed.
    ["none_is_lost_in_a_storm", "SOLOIST_QUEUED_CALLS", "10000"],
    // A hundred groups, on five hosts that come and go.
    ["spreading::", "SOLOIST_SPREAD", "100"],
    // A busy week's changes of leadership, and an idle host.
    ["soak::", "SOLOIST_CHANGES", "10000"],
];

/// Sets of features that builds without the tools for people have.
const LEAN: [&str; 4] = ["etcd,postgres,sqlite", "etcd", "postgres", "sqlite"];

/// How long each fuzz target runs.
const FUZZING: Duration = Duration::from_secs(120);

/// Runs all checks, the quickest first.
pub(crate) fn run() -> Result<()> {
    format()?;
    setup::run()?;
    lint()?;
    test::run(&[])?;
    test::all_stores()?;
    test::all_languages()?;
    browser::test()?;
    document()?;
    book::run()?;
    dependencies()?;
    deploy::check()?;
    package::run()?;
    simulate()?;
    test::large_stores()?;
    for [tests, variable, times] in OFTEN {
        repeat(tests, variable, times)?;
    }
    compose::run(&compose::Compose::default())?;
    fuzz::run(None, FUZZING)?;
    // Ten minutes of the fault bench on each store, with the same plans each time.
    workspace_package::run(workspace_package::FAULTS, &["check"])
}

fn format() -> Result<()> {
    cmd::run(cargo("fmt").args(["--all", "--check"]))?;
    for workspace in guests::WORKSPACES.into_iter().chain(["fuzz"]) {
        let manifest = Path::new(workspace).join("Cargo.toml");
        let mut command = guest_cargo("fmt");
        command.args(["--all", "--check", "--manifest-path"]);
        cmd::run(command.arg(manifest))?;
    }
    Ok(())
}

/// Clippy, with every warning an error.
fn lint() -> Result<()> {
    let mut command = cargo("clippy");
    command.args(["--workspace", "--all-targets", "--locked"]);
    cmd::run(command.args(["--", "--deny", "warnings"]))?;
    for features in LEAN {
        let mut command = cargo("clippy");
        command.args([
            "-p",
            "soloist",
            "--locked",
            "--no-default-features",
            "--features",
            features,
        ]);
        cmd::run(command.args(["--", "--deny", "warnings"]))?;
    }
    for workspace in guests::WORKSPACES {
        let mut command = guest_cargo("clippy");
        command
            .args(["--workspace", "--release", "--locked", "--target", TARGET])
            // Cargo reads its configuration from the current folder.
            .current_dir(paths::repo().join(workspace))
            .arg("--target-dir")
            .arg(guests::target());
        cmd::run(command.args(["--", "--deny", "warnings"]))?;
    }
    Ok(())
}

/// Runs the end-to-end tests that match `tests`, with `variable` set to `times`.
fn repeat(tests: &str, variable: &str, times: &str) -> Result<()> {
    let only = ["-p", "soloist", "--test", "e2e", tests, "--", "--nocapture"];
    test::run_with(&only.map(OsString::from), &[(variable, times)], &[])
}

/// Runs the seeded simulation again, with many more worlds.
fn simulate() -> Result<()> {
    let mut command = cargo("test");
    command.args(["--release", "--locked", "-p", "soloist-leadership", "--test", "simulation"]);
    cmd::run(command.env("SOLOIST_SEEDS", WORLDS))
}

fn document() -> Result<()> {
    let mut command = cargo("doc");
    command
        .args(["--workspace", "--no-deps", "--locked"])
        .arg("--document-private-items")
        .env("RUSTDOCFLAGS", "--deny warnings");
    cmd::run(&mut command)
}

/// Checks licences, origins and duplicates of all dependencies.
fn dependencies() -> Result<()> {
    if cmd::output(cargo("deny").arg("--version")).is_err() {
        cmd::run(cargo("install").args(["--locked", "cargo-deny"]))?;
    }
    cmd::run(cargo("deny").args(["check", "bans", "licenses", "sources"]))
}
