//! The sources of the target's standard library, from Debian's packages.
//!
//! The packages are downloaded and unpacked, never installed. Apt runs with its own configuration,
//! so the machine's sources and lists stay as they are.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cmd;

/// The suites to search, in this order. Backports keep only one version of rust-src, so the suites
/// that it comes from follow.
const SUITES: [&str; 3] = ["trixie-backports", "testing", "unstable"];

const USUAL_MIRROR: &str = "http://deb.debian.org/debian";

const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.pgp",
    "/usr/share/keyrings/debian-archive-keyring.gpg",
];

/// The unpacked packages.
pub(super) struct Sources {
    /// The folder `library/` of the Rust repository.
    pub(super) library: PathBuf,
    /// The C library, and the start files that programs for the target link with.
    pub(super) libc: PathBuf,
}

/// Downloads the sources of Rust `release` and the C library into `scratch`.
pub(super) fn fetch(release: &str, scratch: &Path) -> Result<Sources> {
    let mut seen = Vec::new();
    for suite in SUITES {
        let apt = Apt::new(suite, scratch)?;
        apt.update()?;
        let versions = apt.versions("rust-src")?;
        match versions.iter().find(|version| is_release(version, release)) {
            Some(version) => return apt.unpack(version),
            None => seen.extend(versions),
        }
    }
    bail!(
        "the target is missing: rustup cannot download it, and Debian has the sources of Rust \
         {}, but rustc here is {release}.\nUse a Rust of one of these versions \
         (`rustup default VERSION`), or add the target where rustup can download \
         (`rustup target add wasm32-wasip2`)",
        if seen.is_empty() { "no version".to_owned() } else { seen.join(", ") },
    )
}

/// Whether a package has exactly this release: the compiler cannot use a library of another
/// version.
fn is_release(version: &str, release: &str) -> bool {
    version.strip_prefix(release).is_some_and(|rest| rest.starts_with(['+', '-', '~']))
}

/// An apt that knows one suite only and keeps everything in one folder.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn new(suite: &str, scratch: &Path) -> Result<Self> {
        let folder = scratch.join(suite);
        for needed in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(needed))?;
        }
        let signed = KEYRINGS
            .iter()
            .find(|keyring| Path::new(keyring).exists())
            .map(|keyring| format!("Signed-By: {keyring}\n"))
            .unwrap_or_default();
        let source =
            format!("Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n{signed}", mirror());
        fs::write(folder.join("debian.sources"), source)?;
        Ok(Self { folder })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (option, value) in [
            ("Dir::Etc::sourcelist", self.folder.join("debian.sources")),
            ("Dir::Etc::sourceparts", PathBuf::from("/dev/null")),
            ("Dir::State::lists", self.folder.join("lists")),
            ("Dir::Cache", self.folder.join("cache")),
            // By default apt downloads as the user `_apt`, who may not write to our folder.
            ("APT::Sandbox::User", PathBuf::from("root")),
            ("Acquire::Languages", PathBuf::from("none")),
            ("Acquire::Retries", PathBuf::from("3")),
        ] {
            let mut setting = OsString::from(option);
            setting.push("=");
            setting.push(value);
            command.arg("-o").arg(setting);
        }
        command.current_dir(&self.folder);
        command
    }

    fn update(&self) -> Result<()> {
        let mut command = self.command("apt-get");
        command.args(["-qq", "--error-on=any", "update"]);
        cmd::output(&mut command)
            .context("cannot read Debian's package lists: is the network there?")
            .map(drop)
    }

    fn versions(&self, package: &str) -> Result<Vec<String>> {
        let mut command = self.command("apt-cache");
        let table = cmd::output(command.args(["madison", package]))?;
        let version = |line: &str| Some(line.split('|').nth(1)?.trim().to_owned());
        Ok(table.lines().filter_map(version).collect())
    }

    fn unpack(&self, rust_src: &str) -> Result<Sources> {
        let mut command = self.command("apt-get");
        command.args(["-qq", "download", "wasi-libc"]);
        command.arg(format!("rust-src={rust_src}"));
        cmd::run(&mut command)?;

        let root = self.folder.join("root");
        for file in fs::read_dir(&self.folder)? {
            let file = file?.path();
            if file.extension().is_some_and(|extension| extension == "deb") {
                let mut unpack = Command::new("dpkg-deb");
                cmd::output(unpack.arg("-x").arg(file).arg(&root))?;
            }
        }
        Ok(Sources { library: find_library(&root)?, libc: root.join("usr/lib/wasm32-wasip2") })
    }
}

/// Finds the folder `usr/src/rustc-VERSION/library`.
fn find_library(root: &Path) -> Result<PathBuf> {
    fs::read_dir(root.join("usr/src"))?
        .flatten()
        .map(|entry| entry.path().join("library"))
        .find(|library| library.join("std").is_dir())
        .context("Debian's rust-src has no library/std where it used to be")
}

/// The mirror of Debian that this machine is configured for.
fn mirror() -> String {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        let enabled = entries.flatten().map(|entry| entry.path()).filter(|path| {
            path.extension().is_some_and(|extension| extension == "list" || extension == "sources")
        });
        files.extend(enabled);
    }
    files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .find_map(|text| mirror_in(&text))
        .unwrap_or_else(|| USUAL_MIRROR.to_owned())
}

/// The first address of a Debian mirror in a source file of either format. Security updates, which
/// come from other addresses, are skipped.
fn mirror_in(sources: &str) -> Option<String> {
    sources
        .lines()
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"))
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_end_matches('/'))
        .find(|word| word.contains("://") && word.ends_with("/debian"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_matches_to_the_last_digit() {
        assert!(is_release("1.95.0+dfsg1-2~bpo13+1", "1.95.0"));
        assert!(is_release("1.95.0-1", "1.95.0"));
        assert!(!is_release("1.95.01-1", "1.95.0"));
        assert!(!is_release("1.94.1+dfsg1-2", "1.95.0"));
    }

    #[test]
    fn the_mirror_is_read_from_both_formats() {
        let list =
            "# deb http://old/debian\ndeb [signed-by=/k.gpg] http://near/debian/ trixie main";
        assert_eq!(mirror_in(list).as_deref(), Some("http://near/debian"));

        let deb822 = "Types: deb\nURIs: http://near/debian-security http://near/debian\n";
        assert_eq!(mirror_in(deb822).as_deref(), Some("http://near/debian"));

        let other = "deb https://packages.example.org/apt stable main";
        assert_eq!(mirror_in(other), None);
    }
}
