//! `cargo xtask ci`: every check, the slow ones too.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::cargo::{cargo, guest_cargo};
use crate::wasm_target::TARGET;
use crate::{browser, cmd, compose, deploy, faults, fuzz, guests, setup, test};

/// How many worlds the long simulation runs: under a minute on two cores.
const WORLDS: &str = "100000";

/// How many leaders are frozen on each store.
const FREEZES: &str = "100";

/// How many times a plugin is replaced.
const RELOADS: &str = "1000";

/// How often the leader of a job is killed, for each of the ways to treat what is missed.
const JOB_KILLS: &str = "20";

/// How often the leadership is handed to and fro: a busy week's worth.
const CHANGES: &str = "10000";

/// How long plugins, settings and requests are made at random, each.
const FUZZING: Duration = Duration::from_secs(120);

/// Runs the checks, the quickest first.
pub(crate) fn run() -> Result<()> {
    format()?;
    setup::run()?;
    lint()?;
    test::run(&[])?;
    test::all_languages()?;
    browser::test()?;
    document()?;
    dependencies()?;
    deploy::check()?;
    simulate()?;
    freeze()?;
    reload()?;
    kill()?;
    soak()?;
    compose::run(&compose::Compose::default())?;
    fuzz::run(None, FUZZING)?;
    faults::check()
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
    for workspace in guests::WORKSPACES {
        let mut command = guest_cargo("clippy");
        command
            .args(["--workspace", "--release", "--locked", "--target", TARGET])
            .arg("--manifest-path")
            .arg(Path::new(workspace).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(guests::target());
        cmd::run(command.args(["--", "--deny", "warnings"]))?;
    }
    Ok(())
}

/// Leaders that wake from a freeze, often enough to meet what is rare.
fn freeze() -> Result<()> {
    let only = ["-p", "soloist", "--test", "e2e", "frozen::", "--", "--nocapture"];
    test::run_with(&only.map(OsString::from), &[("SOLOIST_FREEZES", FREEZES)], &[])
}

/// A plugin that is replaced under load, often enough to see memory grow if it does.
fn reload() -> Result<()> {
    let only = ["-p", "soloist", "--test", "e2e", "replaced_under_load", "--", "--nocapture"];
    test::run_with(&only.map(OsString::from), &[("SOLOIST_RELOADS", RELOADS)], &[])
}

/// Leaders that are killed while they run a job each second.
fn kill() -> Result<()> {
    let only = ["-p", "soloist", "--test", "e2e", "killed_leaders", "--", "--nocapture"];
    test::run_with(&only.map(OsString::from), &[("SOLOIST_JOB_KILLS", JOB_KILLS)], &[])
}

/// Leaderships that change for a week, and a host that idles.
fn soak() -> Result<()> {
    let only = ["-p", "soloist", "--test", "e2e", "soak::", "--", "--nocapture"];
    test::run_with(&only.map(OsString::from), &[("SOLOIST_CHANGES", CHANGES)], &[])
}

/// The seeded simulation once more, and much longer.
fn simulate() -> Result<()> {
    let mut command = cargo("test");
    command.args(["--release", "--locked", "-p", "soloist", "--test", "simulation"]);
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

/// Licences, origins and duplicates of everything that is linked in.
fn dependencies() -> Result<()> {
    if cmd::output(cargo("deny").arg("--version")).is_err() {
        cmd::run(cargo("install").args(["--locked", "cargo-deny"]))?;
    }
    cmd::run(cargo("deny").args(["check", "bans", "licenses", "sources"]))
}
