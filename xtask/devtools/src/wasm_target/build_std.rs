//! Builds the target's standard library and installs it where rustup would.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::debian::Sources;
use super::{TARGET, Toolchain};
use crate::{cmd, files};

/// Files that programs for the target link with, in addition to Rust's own libraries.
const SELF_CONTAINED: [&str; 3] = ["crt1-command.o", "crt1-reactor.o", "libc.a"];

/// An empty crate: building it builds everything that it could depend on.
const EMPTY_CRATE: &str = "empty";

/// Builds the library and adds it to the toolchain, completely or not at all.
pub(super) fn install(toolchain: &Toolchain, sources: &Sources, scratch: &Path) -> Result<()> {
    let rustlib = &toolchain.rustlib;
    let unwritable = || {
        format!(
            "cannot write to {}: run `cargo xtask setup` once as the user who owns it",
            rustlib.display()
        )
    };
    // In the same folder as the final place, so that a rename can move it there.
    let staging = tempfile::tempdir_in(rustlib).with_context(unwritable)?;
    put_sources(toolchain, sources).with_context(unwritable)?;

    let lib = staging.path().join(TARGET).join("lib");
    let self_contained = lib.join("self-contained");
    fs::create_dir_all(&self_contained)?;
    for name in SELF_CONTAINED {
        let from = sources.libc.join(name);
        fs::copy(&from, self_contained.join(name))
            .with_context(|| format!("Debian's wasi-libc has no {}", from.display()))?;
    }
    for library in build(scratch)? {
        if let Some(name) = library.file_name() {
            fs::copy(&library, lib.join(name))?;
        }
    }
    let place = rustlib.join(TARGET);
    if place.exists() {
        fs::remove_dir_all(&place).with_context(unwritable)?;
    }
    fs::rename(staging.path().join(TARGET), place).with_context(unwritable)
}

/// Copies the sources to the folder that `-Zbuild-std` compiles.
fn put_sources(toolchain: &Toolchain, sources: &Sources) -> io::Result<()> {
    let folder = toolchain.rustlib.join("src/rust");
    let library = folder.join("library");
    if library.join("std").is_dir() {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    let staging = tempfile::tempdir_in(&folder)?;
    let copy = staging.path().join("library");
    files::copy_folder(&sources.library, &copy)?;
    fs::rename(copy, library)
}

/// Compiles the standard library; returns its files.
fn build(scratch: &Path) -> Result<Vec<PathBuf>> {
    let package = scratch.join(EMPTY_CRATE);
    fs::create_dir_all(package.join("src"))?;
    fs::write(package.join("src/lib.rs"), "")?;
    fs::write(
        package.join("Cargo.toml"),
        format!("[package]\nname = \"{EMPTY_CRATE}\"\nedition = \"2024\"\n[workspace]\n"),
    )?;
    let mut command = Command::new("cargo");
    command
        .args(["build", "--release", "--target", TARGET])
        .arg("-Zbuild-std=std,panic_abort")
        .arg("--target-dir")
        .arg(package.join("target"))
        .current_dir(&package)
        // Only nightly compilers build the standard library; this variable lifts that.
        .env("RUSTC_BOOTSTRAP", "1")
        // The library that rustup downloads has bitcode too: plugins are built with LTO.
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    cmd::run(&mut command)?;

    let deps = package.join("target").join(TARGET).join("release/deps");
    let libraries = libraries_in(&deps)?;
    if libraries.is_empty() {
        bail!("cargo has built no libraries in {}", deps.display());
    }
    Ok(libraries)
}

fn libraries_in(deps: &Path) -> Result<Vec<PathBuf>> {
    let own = format!("lib{EMPTY_CRATE}-");
    let mut found = Vec::new();
    for entry in fs::read_dir(deps)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".rlib") && !name.starts_with(&own) {
            found.push(path.clone());
        }
    }
    Ok(found)
}
