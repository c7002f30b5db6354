//! The limits of an action: a guest tries to exceed them, and its neighbour does not notice.

use std::time::Duration;

use soloist_config::{Grants, Limits};
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{
    log::Log,
    rig::{PATIENCE, RunningAction, TestStore, prepare_within, read_until, rest_of, until},
};

async fn up(guest: &str, limits: Limits) -> RunningAction {
    TestStore::new().start(prepare_within(guest, limits, Grants::default())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn memory() {
    let rig = up("escape", Limits { max_memory: 32 << 20, ..Limits::default() }).await;
    let neighbour = rig.neighbour().await;
    assert_eq!(rig.ask("/grow?16").await, (200, "grown".to_owned()));
    assert_eq!(rig.ask("/grow?64").await.0, 500);
    neighbour.answers().await;
    // Each instance has its own memory.
    assert_eq!(rig.ask("/grow?16").await.0, 200);
    neighbour.stop().await;
    rig.stop().await;
    let rig = up("escape", Limits { max_memory: 128 << 20, ..Limits::default() }).await;
    assert_eq!(rig.ask("/grow?64").await.0, 200);
    rig.stop().await;
}

/// The guest is ended, and the client learns why.
async fn is_too_late(rig: &RunningAction, path: &str) {
    let (status, text) = timeout(PATIENCE, rig.ask(path)).await.expect("it goes on");
    assert!(status == 504 && text.contains("in time"), "{status} {text}");
    rig.instances(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_until_an_answer_begins() {
    let first_byte = Duration::from_millis(200);
    let rig = up("spin", Limits { response_timeout: first_byte, ..Limits::default() }).await;
    let neighbour = rig.neighbour().await;
    for path in ["/spin", "/sleep?ms=60000"] {
        is_too_late(&rig, path).await;
        neighbour.answers().await;
    }
    neighbour.stop().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_whole_request() {
    let request_timeout = Duration::from_millis(500);
    let rig = up("spin", Limits { request_timeout, ..Limits::default() }).await;
    let neighbour = rig.neighbour().await;
    let mut slow = rig.send("GET /slow-body HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let begun = read_until(&mut slow, "chunk 1\n").await;
    let (rest, _) = rest_of(slow).await;
    assert!(!rest.contains("chunk 20") && !rest.ends_with("\r\n0\r\n\r\n"), "{begun}{rest}");
    is_too_late(&rig, "/spin").await;
    neighbour.answers().await;
    neighbour.stop().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_the_queue_full_is_told_at_once() {
    let rig = up(
        "spin",
        Limits { max_concurrent_requests: 1, max_queued_requests: 0, ..Limits::default() },
    )
    .await;
    let neighbour = rig.neighbour().await;
    let busy = rig.begin("GET /sleep?ms=60000 HTTP/1.1\r\nhost: a\r\n\r\n", 1).await;
    // Waiting would take a second each time.
    let refusals = async {
        for _ in 0..100 {
            let refused = rig.get("/").await;
            assert_eq!(refused.status().as_u16(), 503);
            assert_eq!(refused.headers()["retry-after"], "1");
        }
    };
    timeout(PATIENCE, refusals).await.expect("they wait");
    neighbour.answers().await;
    drop(busy);
    rig.instances(0).await;
    assert_eq!(rig.ask("/").await.0, 200);
    neighbour.stop().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_room_in_the_queue_is_answered_in_turn() {
    let rig = up(
        "spin",
        Limits { max_concurrent_requests: 1, max_queued_requests: 1, ..Limits::default() },
    )
    .await;
    let mut first = rig.begin("GET /sleep?ms=200 HTTP/1.1\r\nhost: a\r\n\r\n", 1).await;
    assert_eq!(rig.ask("/").await, (200, "ok".to_owned()));
    read_until(&mut first[0], "slept").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_of_a_request() {
    let rig = up("escape", Limits { max_body_size: 100_000, ..Limits::default() }).await;
    let neighbour = rig.neighbour().await;
    let post = async |length: usize| {
        let url = format!("http://{}/swallow", rig.address());
        let response = reqwest::Client::new().post(url).body(vec![b'x'; length]).send().await;
        let response = response.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(post(100_000).await, (200, "100000".to_owned()));
    // The request declares its size, so nothing of the body has to arrive.
    let head = "POST /swallow HTTP/1.1\r\nhost: a\r\ncontent-length: 100001\r\n\r\n";
    let (refused, _) = rest_of(rig.send(head).await).await;
    assert!(
        refused.starts_with("HTTP/1.1 413") && refused.contains("soloist-fencing-token"),
        "{refused}"
    );
    neighbour.answers().await;
    neighbour.stop().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_tell_its_length() {
    let rig = up("escape", Limits { max_body_size: 100_000, ..Limits::default() }).await;
    let neighbour = rig.neighbour().await;
    let head = "POST /swallow HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut endless = rig.send(head).await;
    let chunk = format!("2710\r\n{}\r\n", "x".repeat(10_000));
    for _ in 0..11 {
        endless.write_all(chunk.as_bytes()).await.unwrap();
    }
    let refused = read_until(&mut endless, "100000 bytes").await;
    assert!(refused.starts_with("HTTP/1.1 413"), "{refused}");
    rig.instances(0).await;
    neighbour.answers().await;
    neighbour.stop().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_printed() {
    let log = Log::of_all();
    let rig = up("escape", Limits { max_log_rate: 16 << 10, ..Limits::default() }).await;
    let neighbour = rig.neighbour().await;
    let printed = || {
        let text = log.text();
        text.lines().filter(|line| line.contains("talks and talks")).count()
    };
    assert_eq!(rig.ask("/print?100000").await.0, 200);
    neighbour.answers().await;
    neighbour.stop().await;
    let fencing_token = format!("fencing_token={}", rig.gate.term().fencing_token.0);
    rig.stop().await;
    let count = printed();
    assert!((50..50_000).contains(&count), "{count} lines of 100000 were printed");
    let told = || {
        let text = log.text();
        let told = text
            .lines()
            .filter(|line| line.contains("were dropped") && line.contains(&fencing_token));
        let counts = told.filter_map(|line| {
            line.rsplit_once("lines=")?.1.split(' ').next()?.parse::<usize>().ok()
        });
        counts.sum::<usize>()
    };
    until("all that was dropped is told", || printed() + told() == 100_000).await;
}
