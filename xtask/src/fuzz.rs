//! `cargo xtask fuzz`: random plugins, settings, requests and rows of the store, derived from real
//! ones. The host must accept or refuse each, and must never break.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use soloist_devtools::cargo::cargo;
use soloist_devtools::{cmd, guests, paths, setup, soloist, tools};

/// The limits for one input, in seconds and MB: as much as a plugin may take at most.
const LIMITS: [&str; 2] = ["-timeout=60", "-rss_limit_mb=4096"];

/// The smallest valid inputs: an empty component and an empty module.
const PLUGINS: [(&str, &[u8]); 2] =
    [("component", b"\0asm\x0d\0\x01\0"), ("module", b"\0asm\x01\0\0\0")];

/// Files with settings. The number is the first byte of the input, as `fuzz/src/settings.rs` reads
/// it.
const SETTINGS: [(u8, &str); 4] = [
    (0, "examples/soloist.toml"),
    (0, "examples/etcd.toml"),
    (0, "examples/compose/soloist.toml"),
    (1, "examples/compose/uptime.toml"),
];

/// One example of every mistake in settings, with its error message.
const REFUSALS: &str = "host/config/src/refusals.txt";

/// Requests. The number is the first byte of the input, which `fuzz/src/api.rs` takes as the route.
const REQUESTS: [(u8, &str); 22] = [
    (0, ""),
    (2, ""),
    (5, "work?lines=3&follow=true&host=a&format=json"),
    (6, "work?after=k&limit=9"),
    (7, "work/k\ncontent-type: text/plain\n\nvalue"),
    (8, "work?all=true"),
    (9, "/job"),
    (11, "\n\n{\"group\": \"main\", \"to\": \"b\", \"by\": \"me\", \"reason\": \"why\"}"),
    (12, "\n\n{\"group\": \"main\", \"keep_failover\": true, \"by\": \"me\"}"),
    (13, "\n\n{\"group\": \"main\", \"reason\": \"why\"}"),
    (14, "\n\n{\"host\": \"b\", \"by\": \"me\"}"),
    (15, "\n\n{}"),
    (16, "\n\n{\"host\": \"b\", \"force\": true, \"by\": \"me\"}"),
    (17, "\n\n{\"host\": \"b\", \"by\": \"me\"}"),
    (18, "/work/dead-letters"),
    (19, "work/dead-letters/x/retry"),
    (20, "work/dead-letters"),
    (21, "?timeout=200ms&max_attempts=3\ncontent-type: text/plain\n\necho hello"),
    (21, "/queue\n\nfail"),
    (21, "\nsoloist-call: x\nsoloist-attempt: 2\nsoloist-within-ms: 200\n\nwho"),
    (22, "a/b?ttl=1\nif-match: \"1\"\n\nvalue"),
    (23, "?wait=true\n\n{\"args\": [\"say\"], \"by\": \"me\"}"),
];

/// Rows of the store: kind and name, by the numbers in `fuzz/src/store.rs`, and the value.
const ROWS: [(u8, u8, &str); 12] = [
    (
        0,
        5,
        r#"{"first_seen": 1, "last_seen": 2, "member": {"name": "b", "url": "javascript:alert(1)"}}"#,
    ),
    (
        0,
        7,
        r#"{"by": "\u202e", "reason": "why", "since": 18446744073709551615, "keep_failover": true}"#,
    ),
    (0, 9, r#"{"by": "me", "reason": "why", "since": 1}"#),
    (
        1,
        11,
        r#"{"name": "b", "url": "x", "joined": 1, "version": "0", "machine": "m", "process": {}}"#,
    ),
    (2, 1, "<script>top.hurt = 1</script>"),
    (3, 0, "\u{1b}[2J"),
    (4, 3, r#"{"settled": "2026-01-01T00:00:00Z", "schedule": "none", "count": 1}"#),
    (
        4,
        4,
        r#"{"id": "x", "scheduled": "2026-01-01T00:00:00Z", "host": "a", "fencing_token": 1, "outcome": "running"}"#,
    ),
    (5, 0, r#"{"content_type": "text/html", "max_attempts": 1, "attempts": 1}"#),
    (6, 0, "text/html"),
    (7, 0, r#"{"max_attempts": 1, "attempts": 1, "error": "no"}"#),
    (8, 2, r#"{"host": "b", "url": "x", "since": 1}"#),
];

/// What is made at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// Plugins, which are loaded
    Load,
    /// Settings, in `soloist.toml` or next to a plugin; hosts start with those that are taken
    Settings,
    /// Requests to the control API of a host
    Api,
    /// Rows in a host's store, whose control API is asked for all of it
    Store,
}

impl Target {
    /// The name of the binary in `fuzz/Cargo.toml`.
    const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Settings => "settings",
            Self::Api => "api",
            Self::Store => "store",
        }
    }

    /// Writes real inputs and the smallest possible ones into the corpus that the fuzzer starts
    /// from.
    fn seed(self, corpus: &Path) -> Result<()> {
        match self {
            Self::Load => plugins(corpus),
            Self::Settings => settings(corpus),
            Self::Api => requests(corpus),
            Self::Store => rows(corpus),
        }
    }
}

/// Runs the fuzzer on this target, or on each one, for `time`. Inputs that break the host are
/// stored in `target/fuzz/found/`.
pub(crate) fn run(target: Option<Target>, time: Duration) -> Result<()> {
    setup::run()?;
    let all = target.map_or_else(|| Target::value_variants().to_vec(), |target| vec![target]);
    all.into_iter().try_for_each(|target| fuzz(target, time))
}

fn fuzz(target: Target, time: Duration) -> Result<()> {
    let programs = tools::install("cargo-fuzz", "cargo-fuzz", &[])?;
    let folder = paths::target().join("fuzz");
    let (corpus, found) = (folder.join("corpus").join(target.name()), folder.join("found"));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&found)?;
    target.seed(&corpus)?;
    let mut fuzz = cargo("fuzz");
    fuzz.env("PATH", tools::before(vec![programs], &tools::path())?)
        .env("SOLOIST_FUZZ_GUESTS", guests::test_guests()?)
        .env("SOLOIST_FUZZ_PROGRAM", soloist::build()?)
        .args(["run", "--fuzz-dir", "fuzz", "--sanitizer", "none", "--target-dir"])
        .arg(&folder)
        .arg(target.name())
        .arg(&corpus)
        .arg("--")
        .arg(format!("-max_total_time={}", time.as_secs()))
        .arg(format!("-artifact_prefix={}/{}-", found.display(), target.name()))
        .args(LIMITS);
    cmd::run(&mut fuzz)
}

/// Copies every component that this repository builds.
fn plugins(corpus: &Path) -> Result<()> {
    for (name, bytes) in PLUGINS {
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

/// Copies valid settings, and settings with one mistake.
fn settings(corpus: &Path) -> Result<()> {
    let read = |file: &str| {
        fs::read_to_string(paths::repo().join(file)).with_context(|| format!("cannot read {file}"))
    };
    for (number, (place, file)) in SETTINGS.into_iter().enumerate() {
        put(corpus, &format!("right-{number}"), place, &read(file)?)?;
    }
    let refusals = read(REFUSALS)?;
    let wrong = refusals.split("=====\n").filter_map(|case| case.split_once("-----\n"));
    for (number, (text, _)) in wrong.enumerate() {
        put(corpus, &format!("wrong-{number}"), 0, text)?;
        // The same keys, as they are written in a plugin's own `NAME.toml`.
        if let Some((_, sibling)) = text.split_once("[action.web]\n") {
            put(corpus, &format!("beside-{number}"), 1, sibling)?;
        }
    }
    Ok(())
}

fn requests(corpus: &Path) -> Result<()> {
    for (number, (route, text)) in REQUESTS.into_iter().enumerate() {
        put(corpus, &format!("request-{number}"), route, text)?;
    }
    Ok(())
}

/// Writes each row alone, and all rows together.
fn rows(corpus: &Path) -> Result<()> {
    let mut all = Vec::new();
    for (number, (kind, name, value)) in ROWS.into_iter().enumerate() {
        let length = u16::try_from(value.len())?.to_be_bytes();
        let row = [&[kind, name][..], &length, value.as_bytes()].concat();
        fs::write(corpus.join(format!("row-{number}")), &row)?;
        all.extend(row);
    }
    Ok(fs::write(corpus.join("rows"), all)?)
}

fn put(corpus: &Path, name: &str, first: u8, text: &str) -> Result<()> {
    Ok(fs::write(corpus.join(name), [&[first], text.as_bytes()].concat())?)
}
