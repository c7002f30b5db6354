//! `cargo xtask test`: the tests, with all that they run against.

use std::ffi::OsString;

use anyhow::Result;

use crate::cargo::cargo;
use crate::{cmd, etcd, guests, setup};

/// Runs the tests of the workspace; `extra` goes to `cargo test`.
pub(crate) fn run(extra: &[OsString]) -> Result<()> {
    run_with(extra, &[])
}

/// The same, with more in the tests' environment.
pub(crate) fn run_with(extra: &[OsString], environment: &[(&str, &str)]) -> Result<()> {
    setup::run()?;
    let etcd = etcd::ensure()?;
    eprintln!("etcd         {}", etcd.display());
    let plugins = guests::plugins()?;
    let test_guests = guests::test_guests()?;
    let mut command = cargo("test");
    // Cargo would take all packages, whatever else is asked for.
    if !extra.iter().any(|word| word == "-p" || word == "--package") {
        command.arg("--workspace");
    }
    command
        .arg("--locked")
        .args(extra)
        .envs(environment.iter().copied())
        .env("SOLOIST_TEST_PLUGINS", plugins)
        .env("SOLOIST_TEST_GUESTS", test_guests)
        .env("SOLOIST_TEST_ETCD", etcd);
    cmd::run(&mut command)
}
