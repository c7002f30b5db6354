//! Protocol buffers: the crate `etcd-client` compiles its definitions when it is
//! built, and needs `protoc` with the well-known includes for that.
//!
//! A `PROTOC` that the user has set wins, then a `protoc` on `PATH` that works,
//! then the one of the crate `protoc-bin-vendored`. That last one is copied to
//! `.cargo/protoc/`, because both cargo's registry and the target folder may be
//! cleaned at any time, and `.cargo/setup.toml`, which `.cargo/config.toml`
//! includes, tells every cargo in this repository where it is.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::{cmd, files, paths};

const SETTINGS: &str = r#"# Written by `cargo xtask setup`: this machine has no protoc of its own.
[env]
PROTOC = { value = ".cargo/protoc/bin/protoc", relative = true }
PROTOC_INCLUDE = { value = ".cargo/protoc/include", relative = true }
"#;

/// Imports one of the well-known files, which a bare `protoc` lacks.
const PROBE: &str = "syntax = \"proto3\"; import \"google/protobuf/descriptor.proto\";";

/// Makes sure that a build finds a protoc, and says which.
pub(crate) fn ensure() -> Result<String> {
    let settings = settings();
    if let Some(protoc) = chosen_by_user() {
        return Ok(format!("{} (from PROTOC)", protoc.to_string_lossy()));
    }
    if let Some(protoc) = cmd::find("protoc").filter(|protoc| works(protoc)) {
        if settings.exists() {
            fs::remove_file(&settings).with_context(|| format!("cannot remove {settings:?}"))?;
        }
        return Ok(protoc.display().to_string());
    }
    if !bundled().exists() {
        unpack().context("cannot unpack protoc; install it (Debian: protobuf-compiler and libprotobuf-dev) and try again")?;
    }
    if fs::read_to_string(&settings).ok().as_deref() != Some(SETTINGS) {
        fs::write(&settings, SETTINGS).with_context(|| format!("cannot write {settings:?}"))?;
    }
    Ok(bundled().display().to_string())
}

/// Hands the bundled protoc, where it is in use, to a cargo that xtask starts.
///
/// An xtask started by cargo has it in its own environment already, from a time
/// when it was perhaps still in use, so the variables are set or removed here.
pub(crate) fn apply(command: &mut Command) {
    if chosen_by_user().is_some() {
        return;
    }
    if settings().exists() {
        command.env("PROTOC", bundled());
        command.env("PROTOC_INCLUDE", folder().join("include"));
    } else {
        command.env_remove("PROTOC").env_remove("PROTOC_INCLUDE");
    }
}

fn chosen_by_user() -> Option<OsString> {
    env::var_os("PROTOC").filter(|protoc| *protoc != *bundled())
}

fn works(protoc: &Path) -> bool {
    let Ok(scratch) = tempfile::tempdir() else {
        return false;
    };
    if fs::write(scratch.path().join("probe.proto"), PROBE).is_err() {
        return false;
    }
    Command::new(protoc)
        .args(["--descriptor_set_out=probe.out", "probe.proto"])
        .current_dir(scratch.path())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn unpack() -> Result<()> {
    let protoc = protoc_bin_vendored::protoc_bin_path()?;
    let include = protoc_bin_vendored::include_path()?;
    let scratch = tempfile::tempdir_in(paths::repo().join(".cargo"))?;
    let whole = scratch.path().join("protoc");
    fs::create_dir_all(whole.join("bin"))?;
    fs::copy(protoc, whole.join("bin/protoc"))?;
    files::copy_folder(&include, &whole.join("include"))?;
    // Another setup may have been quicker, with the same result.
    match fs::rename(&whole, folder()) {
        Err(_) if bundled().exists() => Ok(()),
        result => Ok(result?),
    }
}

fn settings() -> PathBuf {
    paths::repo().join(".cargo/setup.toml")
}

fn folder() -> PathBuf {
    paths::repo().join(".cargo/protoc")
}

fn bundled() -> PathBuf {
    folder().join("bin/protoc")
}
