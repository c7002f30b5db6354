//! The kinds that a plugin runs as: those that its authors meant, and that its settings ask for.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Folder, guest, says};
use crate::harness::plugins;

/// The `main` of such a component is a stub that traps. As a service it would be parked after its
/// first restart, which is due within half a second here.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_stub_for_a_main_is_no_service() {
    let mut folder = Folder::new().await;
    folder.settle("greet", "max_restarts = 1\nrestart_window = \"1s\"\n");
    folder.put(&guest("stub-main"), "greet");
    folder.start("a").await;
    folder.body("/hello", "stub at /hello").await;
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        let answer = reqwest::get(format!("http://{}/greet/on", folder.0.web_at)).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 200, "{}", folder.0.host("a").log);
        assert_eq!(answer.text().await.expect("a text"), "stub at /on\n");
        sleep(Duration::from_millis(50)).await;
    }
    let action = folder.action("a", "greet", |_| true).await;
    let seen = (&action["kind"], &action["state"], &action["restarts"], &action["last_error"]);
    assert_eq!(seen, (&"http".into(), &"running".into(), &0.into(), &serde_json::Value::Null));
    let told = folder.0.host("a").log.events("program-left-out");
    assert_eq!(told.len(), 1, "it is told that there is a `main`: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_say_what_a_plugin_is_run_as() {
    let mut folder = Folder::new().await;
    folder.settle("relay", "state = true\n");
    folder.put(&plugins().join("webhook-relay.wasm"), "relay");
    folder.start("a").await;
    folder.action("a", "relay", |it| it["kind"] == "http" && it["state"] == "running").await;
    folder.settle("relay", "state = true\nkinds = [\"http\", \"service\"]\n");
    folder.action("a", "relay", |it| it["kind"] == "http+service").await;
    folder.settle("relay", "kinds = [\"http\", \"task\"]\n");
    let refused = |it: &serde_json::Value| {
        it["last_error"].as_str().is_some_and(|why| why.contains("to be run as task"))
    };
    folder.action("a", "relay", refused).await;
}

/// A job is copied first, and its settings a moment later.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_waits_for_its_settings() {
    let mut folder = Folder::new().await;
    folder.start("a").await;
    let log = folder.0.host("a").log.clone();
    folder.put(&guest("service-done"), "report");
    log.event(0, "waits").await;
    std::fs::write(folder.path("report.toml"), "schedule = \"none\"\n").expect("a file");
    folder.action("a", "report", |it| it["kind"] == "job").await;
    assert!(!log.lines().iter().any(says("done")), "it was run as a service:\n{log}");

    // Its settings are removed first, and then the component.
    let before = log.len();
    std::fs::remove_file(folder.path("report.toml")).expect("a file");
    log.event(before, "waits").await;
    // For a while, the job stays as it is.
    let kept = folder.action("a", "report", |it| it["last_error"].is_string()).await;
    assert_eq!(kept["kind"], "job", "{kept}");
    assert!(kept["last_error"].as_str().is_some_and(|it| it.contains("report.toml back")));
    std::fs::remove_file(folder.path("report.wasm")).expect("a file");
    log.event(before, "removed").await;
    assert!(!log.lines().iter().any(says("done")), "it was run as a service:\n{log}");
}

/// Without settings, it is a service, which is done when it has ended with success.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_ends_well_is_done_and_hands_nothing_over() {
    let mut folder = Folder::new().await;
    folder.start("a").await;
    folder.put(&guest("service-done"), "report");
    let log = folder.0.host("a").log.clone();
    log.event(0, "waits").await;
    let done = folder.action("a", "report", |it| it["state"] == "done").await;
    assert_eq!((&done["kind"], &done["restarts"]), (&"service".into(), &0.into()));
    assert_eq!(log.lines().iter().filter(|line| says("done")(line)).count(), 1, "{log}");
    assert_eq!(log.events("leading").len(), 1, "{log}");
}
