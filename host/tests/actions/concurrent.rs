//! Components of WASI 0.3: they answer, send requests under the same gates, and end.

use soloist_guests::plugin::Kind;
use soloist_heart::clock::BootTime;
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{
    backend::{Backend, BackendBehaviour},
    rig::{
        PATIENCE, RunningAction, TestStore, action_of, free_address, gate, prepare, prepare_with,
        read_until, rest_of, until,
    },
};

const GUEST: &str = "concurrent";

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_with_the_token() {
    let rig = RunningAction::up(GUEST).await;
    assert!(rig.action.kinds().has(Kind::Http));
    let response = rig.get("/").await;
    assert_eq!(response.headers()["soloist-host"], "a");
    assert_eq!(response.headers()["soloist-fencing-token"], "1");
    assert_eq!(response.text().await.unwrap(), "ok");
    let head = reqwest::Client::new().head(format!("http://{}/", rig.address()));
    assert_eq!(head.send().await.unwrap().status().as_u16(), 200);
    rig.instances(0).await;
    assert_eq!(rig.action.status().last_error, None);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_answer_has_its_length() {
    let rig = RunningAction::up(GUEST).await;
    // On a busy machine a head may be sent before the guest has finished.
    let length = async { while rig.get("/").await.content_length() != Some(2) {} };
    timeout(PATIENCE, length).await.expect("a length");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_an_instance_of_its_own() {
    let rig = RunningAction::up(GUEST).await;
    for _ in 0..3 {
        assert_eq!(rig.ask("/count").await, (200, "1".to_owned()));
    }
    let waiting = rig.begin(&get("/sleep?ms=60000"), 20).await;
    assert_eq!(rig.engine.live_instances(), 20);
    drop(waiting);
    rig.instances(0).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn echoes_a_large_body() {
    let rig = RunningAction::up(GUEST).await;
    let sent = "0123456789abcdef".repeat(64 << 10);
    let url = format!("http://{}/echo", rig.address());
    let response = reqwest::Client::new().post(url).body(sent.clone()).send().await.unwrap();
    assert!(response.text().await.unwrap() == sent, "the echo differs");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn traps_and_errors_spoil_one_request_only() {
    let rig = RunningAction::up(GUEST).await;
    for _ in 0..3 {
        let (status, text) = rig.ask("/trap").await;
        assert!(status == 500 && text.contains("the plugin failed"), "{status} {text}");
        let (status, text) = rig.ask("/error").await;
        assert!(status == 500 && text.contains("asked to"), "{status} {text}");
        assert_eq!(rig.ask("/").await.0, 200);
    }
    rig.instances(0).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_takes_its_guest_along() {
    let rig = RunningAction::up(GUEST).await;
    for path in ["/spin", "/sleep?ms=60000", "/endless"] {
        drop(rig.begin(&get(path), 1).await);
        rig.instances(0).await;
    }
    assert_eq!(rig.action.status().last_error, None, "no fault of the plugin's");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_gate_cuts_a_response_off() {
    let rig = RunningAction::up(GUEST).await;
    let mut stream = rig.send(&get("/endless")).await;
    read_until(&mut stream, "one more line").await;
    rig.gate.close();
    let (rest, _) = rest_of(stream).await;
    assert!(!rest.ends_with("\r\n0\r\n\r\n"), "half a response looks whole: {rest:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_response_does_not_look_whole() {
    let rig = RunningAction::up(GUEST).await;
    for _ in 0..20 {
        let head = "POST /half HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n";
        let mut stream = rig.send(head).await;
        // The first half comes while the guest waits.
        read_until(&mut stream, "half").await;
        stream.write_all(b"all").await.unwrap();
        let (rest, _) = rest_of(stream).await;
        assert!(!rest.ends_with("\r\n0\r\n\r\n"), "half a response looks whole: {rest:?}");
    }
    rig.instances(0).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_finish_what_comes_after_the_answer() {
    let mut rig = RunningAction::up(GUEST).await;
    assert_eq!(rig.ask("/after?ms=300").await.0, 200);
    assert_eq!(rig.engine.live_instances(), 1, "it still works");
    rig.gate.drain();
    timeout(PATIENCE, rig.running.drain()).await.expect("it is drained");
    assert_eq!(rig.engine.live_instances(), 0);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_that_was_not_granted() {
    let backend = Backend::start(BackendBehaviour::Prompt);
    let rig = RunningAction::up(GUEST).await;
    let (status, text) = rig.ask(&format!("/fetch?{}", backend.url())).await;
    assert_eq!(status, 502);
    assert!(text.contains("HttpRequestDenied"), "{text}");
    assert!(backend.seen().is_empty(), "{:?}", backend.seen());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_carries_the_token() {
    let backend = Backend::start(BackendBehaviour::Prompt);
    let world = TestStore::new();
    let rig = world.start(prepare_with(GUEST, backend.granted())).await;
    let fencing_token = rig.gate.term().fencing_token.0;
    let answer = rig.ask(&format!("/fetch?{}", backend.url())).await;
    assert_eq!(answer, (200, "200 hello".to_owned()));
    let seen = backend.seen().concat();
    assert!(seen.contains(&format!("soloist-fencing-token: {fencing_token}")), "{seen}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_guest_has_trapped_does_not_look_whole() {
    let backend = Backend::start(BackendBehaviour::Half);
    let world = TestStore::new();
    let rig = world.start(prepare_with(GUEST, backend.granted())).await;
    assert_eq!(rig.ask(&format!("/break?{}", backend.url())).await.0, 500);
    backend.sees("<closed>").await;
    let seen = backend.seen().concat();
    assert!(seen.contains("chunked") && !seen.contains("\r\n0\r\n\r\n"), "{seen}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_runs_until_it_is_stopped() {
    let rig = RunningAction::up("service-concurrent").await;
    assert!(rig.action.kinds().has(Kind::Service));
    assert_eq!(rig.engine.live_instances(), 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_of_wasi_share_the_slots() {
    let (engine, action) = prepare(GUEST, free_address());
    let plain = action_of(&engine, "spin");
    let mut one = RunningAction::start((engine.clone(), action), gate(1, BootTime::NEVER));
    let mut other = RunningAction::start((engine.clone(), plain), gate(1, BootTime::NEVER));
    one.running.started().await.unwrap();
    other.running.started().await.unwrap();
    let _waiting =
        (one.begin(&get("/sleep?ms=60000"), 2).await, other.send(&get("/sleep?ms=60000")).await);
    until("three instances", || engine.live_instances() == 3).await;
    let usage = engine.pool_usage().unwrap();
    assert_eq!(usage.components, 3);
    other.gate.close();
    other.running.stop().await;
    assert_eq!(engine.live_instances(), 2);
    one.stop().await;
}
