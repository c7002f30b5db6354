//! Builds the components in this repository.
//!
//! Guests are workspaces of their own: they are compiled for another target, with other settings,
//! and share no crate with the host.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo::guest_cargo;
use crate::wasm_target::TARGET;
use crate::{cmd, paths};

/// The workspaces with guests, relative to the root of the repository.
pub const WORKSPACES: [&str; 6] = [
    PLUGINS,
    TEST_GUESTS,
    "examples/plugins/links",
    "examples/plugins/echo",
    "examples/plugins/scores",
    "examples/plugins/stock",
];

const PLUGINS: &str = "plugins";
const TEST_GUESTS: &str = "tests/guests";

/// Builds the first-party plugins into `plugins/`, the folder that users have, too.
pub fn plugins() -> Result<PathBuf> {
    first_party(&[])
}

/// The same, without cargo's progress: another build shows its own.
pub fn plugins_quietly() -> Result<PathBuf> {
    first_party(&["--quiet"])
}

fn first_party(more: &[&str]) -> Result<PathBuf> {
    let folder = paths::repo().join(PLUGINS);
    build(PLUGINS, &folder, more)?;
    Ok(folder)
}

/// Builds the test components into `target/test-guests`, out of the way of users.
pub fn test_guests() -> Result<PathBuf> {
    let folder = paths::target().join("test-guests");
    build(TEST_GUESTS, &folder, &[])?;
    Ok(folder)
}

/// Cargo's target folder for guests.
pub fn target() -> PathBuf {
    paths::target().join("guests")
}

fn build(workspace: &str, to: &Path, more: &[&str]) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let mut command = guest_cargo("build");
    command
        .args(["--release", "--locked", "--target", TARGET])
        .args(more)
        .arg("--manifest-path")
        .arg(Path::new(workspace).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target());
    for component in components(&mut command)? {
        let place = to.join(name(&component));
        if put(&component, &place)? {
            eprintln!("built {}", place.display());
        }
    }
    Ok(())
}

/// Runs a cargo build and returns the components of the workspace, whether or not they had to be
/// built. Cargo's own progress stays visible.
fn components(command: &mut Command) -> Result<Vec<PathBuf>> {
    cmd::echo(command);
    let mut cargo = command
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut found = Vec::new();
    if let Some(messages) = cargo.stdout.take() {
        for line in BufReader::new(messages).lines() {
            found.extend(artifacts(&line?));
        }
    }
    if !cargo.wait()?.success() {
        bail!("the guests do not build: see above");
    }
    Ok(found)
}

/// The components that one of cargo's JSON messages names.
fn artifacts(message: &str) -> Vec<PathBuf> {
    let message: Value = serde_json::from_str(message).unwrap_or_default();
    let files = message["filenames"].as_array();
    files
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(PathBuf::from)
        .filter(|file| is_component(file))
        .collect()
}

/// Whether the file's name ends in `.wasm`.
pub fn is_component(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "wasm")
}

/// The component's name with hyphens: cargo writes underscores into the names of libraries.
fn name(component: &Path) -> String {
    let name = component.file_name().unwrap_or_default();
    name.to_string_lossy().replace('_', "-")
}

/// Copies a component to `place`, unless the same is there; returns whether it was written. A host
/// may be watching the folder, so it must see neither half a file nor a change that is none.
pub fn put(component: &Path, place: &Path) -> Result<bool> {
    let read_error = || format!("cannot read {}", component.display());
    let bytes = fs::read(component).with_context(read_error)?;
    if fs::read(place).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let partial = place.with_extension("wasm.partial");
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, place))
        .with_context(|| format!("cannot write {}", place.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_are_read_from_messages_of_cargo() {
        let library = r#"{"reason":"compiler-artifact","filenames":["/t/i_am.wasm","/t/i_am.d"]}"#;
        assert_eq!(artifacts(library), [PathBuf::from("/t/i_am.wasm")]);
        assert_eq!(name(Path::new("/t/i_am.wasm")), "i-am.wasm");
        assert!(artifacts(r#"{"reason":"build-finished"}"#).is_empty());
    }

    #[test]
    fn an_unchanged_component_is_left_alone() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (from, to) = (folder.path().join("a"), folder.path().join("b.wasm"));
        fs::write(&from, "one")?;
        assert!(put(&from, &to)?);
        assert!(!put(&from, &to)?);
        fs::write(&from, "two")?;
        assert!(put(&from, &to)?);
        assert_eq!(fs::read(&to)?, b"two");
        Ok(())
    }
}
