//! The exit codes: one test for each, with the real program. The code after a second signal is in
//! `supervisor.rs`.

use std::fs;

use axum::http::StatusCode;

use crate::harness::{
    exit::{CONFIG, DATA, DENIED, FAILED, INTERNAL, MISSING, REFUSED, UNAVAILABLE, USAGE},
    fake_host::refusing,
    guests, plugins,
    process::{Ended, run, soloist},
};

/// The program's end with these arguments: its code must be this one, and an error is explained.
async fn ends(args: &[&str], code: i32) {
    let Ended { status, output } = run(soloist().args(args)).await;
    assert_eq!(status.code(), Some(code), "{args:?}: {output}");
    let explained = output.contains("error: ") || output.contains("cannot run it");
    assert!(explained || code == 0, "{args:?}: {output}");
}

/// The URL of a host that answers everything with this status.
async fn host(status: StatusCode) -> String {
    refusing(status, "it is so").await
}

#[tokio::test]
async fn what_is_done_ends_with_0() {
    ends(&["config", "schema"], 0).await;
}

#[tokio::test]
async fn a_no_and_failed_work_end_with_1() {
    let url = host(StatusCode::SERVICE_UNAVAILABLE).await;
    ends(&["status", "--ready", "--url", &url], FAILED).await;
    let url = host(StatusCode::INTERNAL_SERVER_ERROR).await;
    ends(&["task", "call", "work", "--url", &url], FAILED).await;
    let plugin = guests().join("needs-unknown.wasm");
    ends(&["plugin", "inspect", plugin.to_str().expect("UTF-8")], FAILED).await;
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_64() {
    ends(&["run", "--nmae", "a"], USAGE).await;
    ends(&["status", "--url", "a:4000"], USAGE).await;
}

#[tokio::test]
async fn unusable_data_ends_with_65() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("x.wasm");
    fs::write(&file, "<html>").expect("a file");
    let file = file.to_str().expect("UTF-8");
    ends(&["plugin", "inspect", file], DATA).await;
    ends(&["plugin", "run", file], DATA).await;
    let url = host(StatusCode::UNPROCESSABLE_ENTITY).await;
    ends(&["task", "call", "work", "--url", &url], DATA).await;
}

#[tokio::test]
async fn what_is_missing_ends_with_66() {
    let url = host(StatusCode::NOT_FOUND).await;
    ends(&["job", "run", "report", "--url", &url], MISSING).await;
    ends(&["task", "call", "work", "--file", "nowhere", "--url", &url], MISSING).await;
    ends(&["plugin", "run", "nowhere.wasm"], MISSING).await;
    ends(&["demo", "--plugins", "nowhere"], MISSING).await;
}

#[tokio::test]
async fn what_does_not_answer_ends_with_69() {
    ends(&["status", "--url", "http://127.0.0.1:9"], UNAVAILABLE).await;
    let url = host(StatusCode::SERVICE_UNAVAILABLE).await;
    ends(&["status", "--url", &url], UNAVAILABLE).await;
}

#[tokio::test]
async fn a_fault_of_soloist_ends_with_70() {
    let url = host(StatusCode::INTERNAL_SERVER_ERROR).await;
    ends(&["status", "--url", &url], INTERNAL).await;
}

#[tokio::test]
async fn what_is_refused_for_now_ends_with_75() {
    for status in [StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS] {
        let url = host(status).await;
        ends(&["switchover", "--url", &url], REFUSED).await;
    }
}

#[tokio::test]
async fn denied_access_ends_with_77() {
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        let url = host(status).await;
        ends(&["pause", "--url", &url], DENIED).await;
    }
}

#[tokio::test]
async fn wrong_settings_end_with_78() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("soloist.toml");
    fs::write(&file, "lissten = \"x\"\n").expect("a file");
    let file = file.to_str().expect("UTF-8");
    ends(&["config", "check", file], CONFIG).await;
    ends(&["run", "--config", file], CONFIG).await;
    let plugin = plugins().join("i-am-server.wasm");
    let plugin = plugin.to_str().expect("UTF-8");
    ends(&["plugin", "run", plugin, "--set", "nonsense = 0"], CONFIG).await;
}
