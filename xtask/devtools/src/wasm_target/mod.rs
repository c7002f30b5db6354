//! The standard library of `wasm32-wasip2`, the target of all plugins.
//!
//! Normally rustup downloads it. Where it cannot, the library is built once from the sources in
//! Debian's packages (`debian`) with the installed compiler (`build_std`). Cargo cannot tell
//! the difference, and no other code depends on it.

mod build_std;
mod debian;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cmd;

/// The target of all plugins.
pub const TARGET: &str = "wasm32-wasip2";

/// Makes sure that a plain `cargo build --target wasm32-wasip2` works.
pub fn ensure() -> Result<()> {
    let toolchain = Toolchain::detect()?;
    if toolchain.has_target() {
        return Ok(());
    }
    let refusal = match rustup_add() {
        Ok(()) if toolchain.has_target() => return Ok(()),
        Ok(()) => anyhow::anyhow!("rustup added {TARGET} to another toolchain than rustc's"),
        Err(error) => error,
    };
    if cmd::find("apt-get").is_none() || cmd::find("dpkg-deb").is_none() {
        return Err(refusal.context(format!(
            "the target {TARGET} is missing and cannot be downloaded; \
             add it by hand (`rustup target add {TARGET}`) and try again"
        )));
    }
    eprintln!("rustup cannot download {TARGET}: building it from Debian's packages");
    build(&toolchain)
}

fn rustup_add() -> Result<()> {
    cmd::output(Command::new("rustup").args(["target", "add", TARGET])).map(drop)
}

fn build(toolchain: &Toolchain) -> Result<()> {
    let _lock = toolchain.lock()?;
    // Another process may have built it while this one waited for the lock.
    if toolchain.has_target() {
        return Ok(());
    }
    let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
    let sources = debian::fetch(&toolchain.release()?, scratch.path())?;
    build_std::install(toolchain, &sources, scratch.path())
}

/// The compiler in use. Plugins are built with it, so it gets the target.
struct Toolchain {
    /// The folder `$(rustc --print sysroot)/lib/rustlib`.
    rustlib: PathBuf,
}

impl Toolchain {
    fn detect() -> Result<Self> {
        let sysroot = cmd::output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let rustlib = Path::new(sysroot.trim()).join("lib/rustlib");
        if !rustlib.is_dir() {
            bail!("rustc's own folder {} is missing", rustlib.display());
        }
        Ok(Self { rustlib })
    }

    /// The compiler's version, for example `1.95.0`.
    fn release(&self) -> Result<String> {
        let version = cmd::output(Command::new("rustc").arg("-vV"))?;
        version
            .lines()
            .find_map(|line| line.strip_prefix("release: "))
            .map(str::to_owned)
            .with_context(|| format!("`rustc -vV` names no release:\n{version}"))
    }

    fn has_target(&self) -> bool {
        let lib = self.rustlib.join(TARGET).join("lib");
        let has_std = fs::read_dir(&lib).is_ok_and(|files| {
            files.flatten().any(|file| {
                let name = file.file_name();
                let name = name.to_string_lossy();
                name.starts_with("libstd-") && name.ends_with(".rlib")
            })
        });
        has_std && lib.join("self-contained/libc.a").is_file()
    }

    /// Allows one build of the target at a time. The lock ends with the process.
    fn lock(&self) -> Result<File> {
        let folder = File::open(&self.rustlib)
            .with_context(|| format!("cannot open {}", self.rustlib.display()))?;
        folder.lock().with_context(|| format!("cannot lock {}", self.rustlib.display()))?;
        Ok(folder)
    }
}
