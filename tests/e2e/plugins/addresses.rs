//! Addresses: a problem with one plugin does not move another one, and its clients get the reason.

use std::{fs, net::TcpListener, time::Duration};

use reqwest::StatusCode;
use tokio::time::{sleep, timeout};

use super::{Folder, guest, server, spin};
use crate::harness::{PATIENCE, own_address};

/// The status and the text for `path`, from one request.
async fn ask(folder: &Folder, path: &str) -> (u16, String) {
    let url = format!("http://{}{path}", folder.0.web_at);
    let answer = reqwest::get(url).await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a text"))
}

/// Waits until `path` is refused with 503 for `reason`.
async fn refused(folder: &Folder, path: &str, reason: &str) {
    let url = format!("http://{}{path}", folder.0.web_at);
    let mut told = String::new();
    let refused = timeout(PATIENCE, async {
        loop {
            if let Ok(answer) = reqwest::get(&url).await {
                let status = answer.status();
                told = answer.text().await.unwrap_or_default();
                if status == StatusCode::SERVICE_UNAVAILABLE && told.contains(reason) {
                    return;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let refused = refused.await;
    assert!(refused.is_ok(), "{path} is not refused for {reason:?}: {told}");
}

/// A host with two servers: `web`, and `hooks`, which is also a service and fails as such.
async fn with_one_parked() -> Folder {
    let mut folder = Folder::new().await;
    folder.settle("web", "");
    folder.put(&spin(), "web");
    folder.settle(
        "hooks",
        "kinds = [\"http\", \"service\"]\nmax_restarts = 0\nrestart_window = \"1s\"\n",
    );
    folder.put(&guest("stub-main"), "hooks");
    folder.start("a").await;
    folder.action("a", "hooks", |action| action["state"] == "parked").await;
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_parked_keeps_its_place_and_moves_nobody() {
    let folder = with_one_parked().await;
    refused(&folder, "/hooks/github", "the action hooks is parked: it ended").await;
    folder.body("/web/where", "/where under /web").await;
    let (status, text) = ask(&folder, "/where").await;
    assert_eq!(status, 404, "nobody is at the root: {text}");
    assert!(text.contains("/hooks, /web") || text.contains("/web, /hooks"), "{text}");
    // As JSON writes quotation marks.
    assert!(text.contains(r#"path = \"/\""#), "{text}");
    let control = folder.0.host("a").api().await;
    let leader = reqwest::get(format!("http://{control}/leader/hooks/x")).await.expect("an answer");
    assert_eq!(leader.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(leader.text().await.expect("a text").contains("is parked"));
    let web = folder.action("a", "web", |_| true).await;
    assert_eq!((&web["path"], &web["paths"]), (&"/web".into(), &serde_json::json!(["/web"])));

    // Once repaired, it answers at its old address.
    folder.settle("hooks", "");
    folder.body("/hooks/github", "stub at /github").await;
    folder.body("/web/where", "/where under /web").await;
    let moved = folder.0.host("a").log.events("moved");
    assert!(moved.is_empty(), "nobody has moved: {moved:?}");
}

/// The same where each host listens and forwards requests.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_parked_keeps_its_place_where_requests_are_passed_on() {
    let mut folder = Folder::new().await;
    folder.settle("web", "standby = \"forward\"\n");
    folder.put(&spin(), "web");
    let more = "standby = \"forward\"\nkinds = [\"http\", \"service\"]\nmax_restarts = 0\n";
    folder.settle("hooks", more);
    folder.put(&guest("stub-main"), "hooks");
    fs::write(folder.path("bad.wasm"), "no wasm").expect("a file");
    folder.settle("bad", "standby = \"forward\"\n");
    folder.start("a").await;
    folder.action("a", "hooks", |action| action["state"] == "parked").await;
    refused(&folder, "/hooks/x", "is parked").await;
    refused(&folder, "/bad/x", "the action bad cannot be loaded").await;
    folder.body("/web/where", "/where under /web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_keeps_its_place_and_moves_nobody() {
    let mut folder = Folder::new().await;
    for name in ["web", "hooks"] {
        folder.settle(name, "");
        folder.put(&spin(), name);
    }
    folder.start("a").await;
    folder.body("/hooks/where", "/where under /hooks").await;
    assert_eq!(ask(&folder, "/where").await.0, 404);
    // The host starts again with one of the two components damaged.
    folder.0.kill("a").await;
    fs::write(folder.path("hooks.wasm"), "damaged").expect("a file");
    folder.start("a").await;
    folder.body("/web/where", "/where under /web").await;
    refused(&folder, "/hooks/where", "the action hooks cannot be loaded").await;
    assert_eq!(ask(&folder, "/where").await.0, 404, "it has not moved to the root");
    let control = folder.0.host("a").api().await;
    let leader = reqwest::get(format!("http://{control}/leader/hooks/x")).await.expect("an answer");
    assert_eq!(leader.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_alone_keeps_its_own_place_when_another_comes() {
    let mut folder = Folder::new().await;
    folder.settle("web", "");
    folder.put(&spin(), "web");
    folder.start("a").await;
    folder.body("/where", "/where under").await;
    folder.body("/web/where", "/where under /web").await;
    folder.settle("other", "");
    folder.put(&server(), "other");
    folder.body("/other", "I am server a").await;
    folder.body("/web/where", "/where under /web").await;
    let log = folder.0.host("a").log.clone();
    let moved = log.event(0, "moved").await;
    let told = moved["message"].as_str().unwrap_or_default();
    for part in ["action web answers at", "no longer at /", "other is as well", "path = \"/\""] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
    // An action whose settings name the address keeps it, whatever is added.
    folder.settle("web", "path = \"/\"\n");
    folder.body("/where", "/where under").await;
    folder.body("/other", "I am server a").await;
}

/// A new plugin may fail for a reason that passes soon, without a change in the folder.
#[tokio::test(flavor = "multi_thread")]
async fn who_finds_its_address_taken_comes_when_it_is_free() {
    let mut folder = Folder::new().await;
    folder.settle("web", "");
    folder.put(&server(), "web");
    folder.start("a").await;
    folder.body("/", "I am server a").await;
    let taken = TcpListener::bind((own_address(), 0)).expect("a port");
    let listen = taken.local_addr().expect("an address");
    let settings = format!("listen = \"{listen}\"\n");
    fs::write(folder.path("late.toml"), settings).expect("a file");
    folder.put(&server(), "late");
    folder.action("a", "late", |it| it["state"] == "refused").await;
    drop(taken);
    folder.action("a", "late", |it| it["state"] == "running").await;
    let answer = reqwest::get(format!("http://{listen}/late")).await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

/// A host that has nothing to perform at first, and then a plugin that cannot have its address.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_plugin_that_finds_its_address_taken_is_heard_of() {
    let mut folder = Folder::new().await;
    folder.start("a").await;
    let taken = TcpListener::bind((own_address(), 0)).expect("a port");
    let listen = taken.local_addr().expect("an address").to_string();
    fs::write(folder.path("late.toml"), format!("listen = \"{listen}\"\n")).expect("a file");
    folder.put(&server(), "late");
    let host = folder.0.host("a");
    let told = host.log.event(0, "not-ready").await;
    assert!(told["message"].as_str().is_some_and(|text| text.contains(&listen)), "{told}");
    let obstacle = host.status().await["groups"]["main"]["obstacle"].to_string();
    assert!(obstacle.contains(&listen), "{obstacle}");
    let ready = reqwest::get(format!("http://{}/readyz", host.api().await)).await;
    let ready = ready.expect("an answer");
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let why = ready.text().await.expect("a text");
    assert!(why.contains(&listen), "{why}");
    drop(taken);
    host.log.event(0, "leading").await;
}
