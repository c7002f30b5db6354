//! `cargo xtask test`: runs the tests, with all programs and components that they need.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use anyhow::{Context, Result};
use soloist_devtools::cargo::cargo;
use soloist_devtools::languages::{self, Language};
use soloist_devtools::{cmd, databases, etcd, guests, paths, setup};

use crate::{examples, faketime, haproxy};

/// How many tests run at a time, unless this variable says another number: tests with real servers
/// wait more than they compute.
const THREADS: (&str, &str) = ("RUST_TEST_THREADS", "4");

/// The end-to-end tests of plugins in other languages.
const LANGUAGES: &str = "languages::";

/// Runs all tests of the workspace, or those that `extra` selects: it goes to `cargo test`.
pub(crate) fn run(extra: &[OsString]) -> Result<()> {
    run_with(extra, &[], languages::QUICK)
}

/// Runs the tests of all languages, kinds of plugins and templates, and of the examples that write
/// to a database. [`run`] covers the languages that are quick to build.
pub(crate) fn all_languages() -> Result<()> {
    let only = ["-p", "soloist", "--test", "e2e", LANGUAGES, "--", "--include-ignored"];
    let redis = databases::redis()?;
    let servers = [("SOLOIST_TEST_REDIS", redis.to_str().context("its path is text")?)];
    run_with(&only.map(OsString::from), &servers, languages::ALL)
}

/// Runs the stores' tests that take minutes: tables stay small under many renewals, and a large
/// cluster is copied between all stores.
pub(crate) fn large_stores() -> Result<()> {
    let only = ["-p", "soloist-stores", "--test", "store", "--", "--ignored"];
    let tests = ["a_hundred_thousand", "a_large_cluster"];
    run_with(&only.into_iter().chain(tests).map(OsString::from).collect::<Vec<_>>(), &[], &[])
}

/// Runs the end-to-end tests on PostgreSQL that [`run`] leaves out, and all of them behind a pooler.
pub(crate) fn all_stores() -> Result<()> {
    let only =
        ["-p", "soloist", "--test", "e2e", "--", "--ignored", "::postgres::", "::pgbouncer::"];
    run_with(&only.map(OsString::from), &[], &[])
}

/// Runs `cargo test` with `extra`. The tests get more variables in their `environment`, and example
/// plugins in these `languages`.
pub(crate) fn run_with(
    extra: &[OsString],
    environment: &[(&str, &str)],
    languages: &[Language],
) -> Result<()> {
    setup::run()?;
    let etcd = etcd::ensure()?;
    eprintln!("etcd         {}", etcd.display());
    let postgres = databases::postgres()?;
    eprintln!("postgres     {}", postgres.display());
    let plugins = guests::plugins()?;
    let test_guests = guests::test_guests()?;
    let mut command = tests(extra);
    // Whoever has waited for half an hour wants to know everything that fails.
    command.arg("--no-fail-fast");
    if env::var_os(THREADS.0).is_none() {
        command.env(THREADS.0, THREADS.1);
    }
    command
        .args(extra)
        .envs(environment.iter().copied())
        .env("SOLOIST_TEST_PLUGINS", plugins)
        .env("SOLOIST_TEST_GUESTS", test_guests)
        .env("SOLOIST_TEST_ETCD", etcd)
        .env("SOLOIST_TEST_POSTGRES", postgres)
        .env("SOLOIST_TEST_PGBOUNCER", databases::pgbouncer()?)
        .env("SOLOIST_TEST_FAKETIME", faketime::ensure()?)
        .env("SOLOIST_TEST_HAPROXY", haproxy::ensure()?);
    if extra.is_empty() || extra.iter().any(|word| word.to_string_lossy().contains(LANGUAGES)) {
        let path = languages::ensure(languages)?;
        // With the same profile as the tests, so that the program is built once.
        cmd::run(tests(extra).args(["--test", "e2e", "--no-run"]))?;
        let soloist = paths::target().join("debug/soloist");
        command
            .env("SOLOIST_TEST_EXAMPLES", examples::build(&soloist, &path, languages)?)
            .env("SOLOIST_TEST_PATH", path)
            .env("SOLOIST_TEST_CARGO_TARGET", guests::target())
            .env("SOLOIST_TEST_NODE_MODULES", languages::node_modules())
            .env("SOLOIST_TEST_JCO", languages::jco());
    }
    cmd::run(&mut command)
}

/// `cargo test`, for all packages unless `extra` names one.
fn tests(extra: &[OsString]) -> Command {
    let mut command = cargo("test");
    if !extra.iter().any(|word| word == "-p" || word == "--package") {
        command.arg("--workspace");
    }
    command.arg("--locked");
    command
}
