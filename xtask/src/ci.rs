//! `cargo xtask ci`: every check, the slow ones too.

use std::path::Path;

use anyhow::Result;

use crate::cargo::{cargo, guest_cargo};
use crate::wasm_target::TARGET;
use crate::{cmd, guests, setup, test};

/// Runs the checks, the quickest first.
pub(crate) fn run() -> Result<()> {
    format()?;
    setup::run()?;
    lint()?;
    test::run(&[])?;
    document()?;
    dependencies()
}

fn format() -> Result<()> {
    cmd::run(cargo("fmt").args(["--all", "--check"]))?;
    for workspace in guests::WORKSPACES {
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
