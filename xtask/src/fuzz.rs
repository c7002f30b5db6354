//! `cargo xtask fuzz`: plugins made at random from those that are there, which must be
//! loaded or refused, whatever they hold.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::cargo::cargo;
use crate::{cmd, guests, paths, setup, tools};

/// How long one input may take, and what memory: as much as a plugin may at the most.
const LIMITS: [&str; 2] = ["-timeout=60", "-rss_limit_mb=4096"];

/// The least that is WebAssembly: an empty component and an empty module.
const SEEDS: [(&str, &[u8]); 2] =
    [("component", b"\0asm\x0d\0\x01\0"), ("module", b"\0asm\x01\0\0\0")];

/// Runs the fuzzer for `time`; what breaks the host is kept under `target/fuzz/`.
pub(crate) fn run(time: Duration) -> Result<()> {
    setup::run()?;
    let programs = tools::install("cargo-fuzz", "cargo-fuzz", &[])?;
    let folder = paths::target().join("fuzz");
    let (corpus, found) = (folder.join("corpus"), folder.join("found"));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&found)?;
    seed(&corpus)?;
    let mut fuzz = cargo("fuzz");
    fuzz.env("PATH", tools::before(vec![programs], &tools::path())?)
        .args(["run", "--fuzz-dir", "fuzz", "--sanitizer", "none", "--target-dir"])
        .arg(&folder)
        .arg("load")
        .arg(&corpus)
        .arg("--")
        .arg(format!("-max_total_time={}", time.as_secs()))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .args(LIMITS);
    cmd::run(&mut fuzz)
}

/// Puts everything that is built here, and the least there is, where the fuzzer begins.
fn seed(corpus: &Path) -> Result<()> {
    for (name, bytes) in SEEDS {
        fs::write(corpus.join(name), bytes)?;
    }
    for folder in [guests::plugins()?, guests::test_guests()?] {
        for entry in fs::read_dir(&folder)? {
            let file = entry?.path();
            if let Some(name) = file.file_name().filter(|_| guests::is_component(&file)) {
                fs::copy(&file, corpus.join(name))?;
            }
        }
    }
    Ok(())
}
