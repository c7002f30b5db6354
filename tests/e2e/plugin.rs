//! `soloist plugin`: looking at a plugin, and running one alone.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{
    at, guests, own_address, plugins,
    process::{Ended, Process, run, soloist},
};

async fn inspect(file: &std::path::Path, more: &[&str]) -> Ended {
    run(soloist().args(["plugin", "inspect"]).arg(file).args(more)).await
}

#[tokio::test]
async fn a_plugin_is_looked_at() {
    let seen = inspect(&plugins().join("i-am-server.wasm"), &[]).await;
    assert_eq!(seen.status.code(), Some(0), "{}", seen.output);
    for part in
        ["component, WASI 0.2", "can run it as http", "EXPORTS\nwasi:http/incoming-handler@"]
    {
        assert!(seen.output.contains(part), "no {part:?} in:\n{}", seen.output);
    }
    let seen = inspect(&guests().join("state.wasm"), &["--json"]).await;
    let sheet: Value = serde_json::from_str(&seen.output).expect("JSON");
    assert_eq!((&sheet["runs"], &sheet["kinds"]), (&true.into(), &"http".into()), "{sheet}");
    let settings = sheet["asks_for"].as_array().expect("a list");
    assert!(settings.iter().any(|ask| ask["setting"] == "state" && ask["perhaps"] == false));
}

#[tokio::test]
async fn a_plugin_that_cannot_run_is_looked_at_all_the_same() {
    let seen = inspect(&guests().join("needs-unknown.wasm"), &[]).await;
    assert_eq!(seen.status.code(), Some(1), "{}", seen.output);
    for part in ["cannot run it", "example:unknown/thing", "wasi:cli/run"] {
        assert!(seen.output.contains(part), "no {part:?} in:\n{}", seen.output);
    }
    let nothing = inspect(std::path::Path::new("nowhere.wasm"), &[]).await;
    assert_eq!(nothing.status.code(), Some(64), "{}", nothing.output);
}

#[tokio::test]
async fn a_plugin_runs_alone_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = at(own_address(), 3000).to_string();
    let mut command = soloist();
    command.env("TMPDIR", folder.path()).args(["plugin", "run"]).arg(guests().join("state.wasm"));
    let mut process = Process::start(command.args(["--state", "--listen", &listen]));
    let url = format!("http://{listen}/");
    let says = |line: &Value| line.as_str().is_some_and(|line| line.contains(&url));
    process.log.find(0, "URL", says).await;
    let answer = reqwest::get(format!("{url}increment/visits/2")).await.expect("an answer");
    assert_eq!(answer.text().await.expect("a text"), "2", "{}", process.log);
    process.signal(Signal::INT);
    assert!(process.ended().await.success(), "{}", process.log);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "{}", process.log);
}

#[tokio::test]
async fn a_plugin_that_is_watched_is_taken_up_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("work.wasm");
    fs::copy(guests().join("service-loop.wasm"), &file).expect("a copy");
    let mut command = soloist();
    let mut process = Process::start(command.args(["plugin", "run", "--watch"]).arg(&file));
    let says = |text: &'static str| {
        move |line: &Value| line.as_str().is_some_and(|line| line.contains(text))
    };
    process.log.find(0, "a service", says("action work is running")).await;
    let before = process.log.len();
    fs::copy(plugins().join("job-runner.wasm"), &file).expect("a copy");
    process.log.find(before, "the other plugin", says("unit 1: 9592 primes")).await;
    assert!(process.terminate().await.success(), "{}", process.log);
}

#[tokio::test]
async fn a_plugin_alone_is_granted_what_flags_say() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "content").expect("a file");
    let listen = at(own_address(), 3000).to_string();
    let mut command = soloist();
    command.args(["plugin", "run"]).arg(guests().join("reach.wasm"));
    let shown = format!("{}:/data", folder.path().display());
    let mut process = Process::start(command.args(["--listen", &listen, "--folder", &shown]));
    let url = format!("http://{listen}/");
    let says = |line: &Value| line.as_str().is_some_and(|line| line.contains(&url));
    process.log.find(0, "URL", says).await;
    let answer = reqwest::get(format!("{url}read?/data/file")).await.expect("an answer");
    assert_eq!(answer.text().await.expect("a text"), "content");
    let answer = reqwest::get(format!("{url}write?/data/new")).await.expect("an answer");
    assert_eq!(answer.status(), 502, "it may write");
    assert!(process.terminate().await.success(), "{}", process.log);
}

#[tokio::test]
async fn a_wrong_flag_of_a_run_is_told() {
    let file = plugins().join("i-am-server.wasm");
    for (flag, value, word) in [
        ("--listen", "3000", "127.0.0.1:3000"),
        ("--folder", "data", "FROM:AT"),
        ("--set", "requests", "requests"),
        ("--set", "requests = 0", "out of range"),
        ("--outbound", "ftp://x", "outbound"),
    ] {
        let ended = run(soloist().args(["plugin", "run"]).arg(&file).args([flag, value])).await;
        assert_eq!(ended.status.code(), Some(64), "{}", ended.output);
        assert!(ended.output.contains(word), "no {word:?} in:\n{}", ended.output);
    }
}
