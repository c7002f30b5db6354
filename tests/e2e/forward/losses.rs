//! The leader is lost: which requests are repeated, which are not, and what clients get.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::{Forwarding, rest, told};
use crate::harness::{TTL, cluster::Kind, guests};

crate::on_all_stores!(
    what_may_be_repeated_is_answered_by_the_next_leader,
    what_may_not_be_repeated_is_not,
    an_answer_that_breaks_off_breaks_off_for_the_client,
    a_frozen_leaders_answer_breaks_off,
    what_is_held_in_vain_is_refused_in_time,
    a_broken_answer_is_run_once,
);

async fn two(kind: Kind, more: &str) -> Forwarding {
    let settings = format!("standby = \"forward\"\n{more}");
    Forwarding::of(kind, guests().join("spin.wasm"), &settings, &["a", "b"]).await
}

/// Sends a request for `path` to `b`, and waits until `a` works on it.
async fn in_flight(
    all: &Forwarding,
    method: reqwest::Method,
    path: &str,
) -> tokio::task::JoinHandle<reqwest::Result<reqwest::Response>> {
    let from = all.cluster.host("a").log.len();
    let request = all.client.request(method, all.web("b", path)).send();
    let asked = tokio::spawn(request);
    let sleeping = |line: &serde_json::Value| line["message"] == "sleeping";
    all.cluster.host("a").log.find(from, "request", sleeping).await;
    asked
}

async fn what_may_be_repeated_is_answered_by_the_next_leader(kind: Kind) {
    let mut all = two(kind, "").await;
    let asked = in_flight(&all, reqwest::Method::GET, "/sleep?ms=1500").await;
    all.cluster.kill("a").await;
    let later = all.get(all.web("b", "/"));
    let (asked, later) = tokio::join!(asked, later);
    assert_eq!(told(asked.unwrap().unwrap()).await, (200, "b".into(), "slept".into()));
    assert_eq!(told(later).await, (200, "b".into(), "ok".into()));
    assert!(all.counted("b", "repeated").await >= 1);
    assert!(all.counted("b", "held").await >= 2);
}

async fn what_may_not_be_repeated_is_not(kind: Kind) {
    let mut all = two(kind, "").await;
    let asked = in_flight(&all, reqwest::Method::POST, "/sleep?ms=20000").await;
    all.cluster.kill("a").await;
    let (status, host, text) = told(asked.await.unwrap().unwrap()).await;
    assert_eq!((status, host.as_str()), (502, ""));
    assert!(text.contains("may have been carried out"), "{text}");
    // A request that no host had begun is not lost.
    let post = all.client.post(all.web("b", "/echo")).body("again").send().await.unwrap();
    assert_eq!(told(post).await, (200, "b".into(), "again".into()));
    assert_eq!(all.counted("b", "repeated").await, 0);
    assert_eq!(all.counted("b", "failed").await, 1);
}

async fn an_answer_that_breaks_off_breaks_off_for_the_client(kind: Kind) {
    let mut all = two(kind, "").await;
    let mut answer = all.get(all.web("b", "/slow-body")).await;
    answer.chunk().await.unwrap().unwrap();
    all.cluster.kill("a").await;
    let (pieces, whole) = rest(answer).await;
    assert!(!whole, "it looks whole: {pieces:?}");
}

/// The term is lost on the host that the client is connected to.
async fn a_frozen_leaders_answer_breaks_off(kind: Kind) {
    let all = two(kind, "").await;
    let mut answer = all.get(all.web("a", "/slow-body")).await;
    answer.chunk().await.unwrap().unwrap();
    all.cluster.freeze("a").await;
    all.cluster.leading("b").await;
    all.cluster.signal("a", Signal::CONT);
    let (pieces, whole) = rest(answer).await;
    assert!(!whole, "it looks whole: {pieces:?}");
    // The relay has outlived the term.
    let next = told(all.get(all.web("a", "/")).await).await;
    assert_eq!(next, (200, "b".into(), "ok".into()));
}

async fn what_is_held_in_vain_is_refused_in_time(kind: Kind) {
    let hold = Duration::from_millis(300);
    let mut all = two(kind, "max_hold = \"300ms\"\n").await;
    all.cluster.kill("a").await;
    let began = Instant::now();
    let answer = all.get(all.web("b", "/")).await;
    let took = began.elapsed();
    assert_eq!(answer.headers()["retry-after"], "1");
    let (status, _, text) = told(answer).await;
    assert!(status == 503 && text.contains("b does not reach the leader a at"), "{status} {text}");
    assert!(took >= hold && took < TTL, "{took:?}");
    all.cluster.leading("b").await;
    assert_eq!(told(all.get(all.web("b", "/")).await).await.0, 200);
}

/// An answer that the plugin breaks has nothing to do with the leader. On no route is the request
/// repeated, and the client notices it at once.
async fn a_broken_answer_is_run_once(kind: Kind) {
    let all = two(kind, "max_hold = \"20s\"\n").await;
    let log = &all.cluster.host("a").log;
    let breaking = |line: &serde_json::Value| line["message"] == "breaking";
    for how in ["trap", "dropped", "short", "headers", "late"] {
        let path = format!("/broken?{how}");
        let by_control = all.control("b", &format!("/leader/web{path}")).await;
        for url in [all.web("a", &path), all.web("b", &path), by_control] {
            let (from, began) = (log.len(), Instant::now());
            let answer = all.get(url.clone()).await;
            let (status, body) = (answer.status().as_u16(), answer.bytes().await);
            let told = format!("{how} by {url}: {status} {body:?} after {:?}", began.elapsed());
            assert!(began.elapsed() < TTL, "{told}");
            assert!(status == 502 || (status == 200 && body.is_err()), "{told}");
            log.find(from, "run", breaking).await;
            assert_eq!(
                log.lines().iter().skip(from).filter(|it| breaking(it)).count(),
                1,
                "{told}"
            );
        }
        let action = all.cluster.host("a").status().await["actions"][0].clone();
        assert!(action["last_error"].is_string(), "{action}");
    }
    assert_eq!(all.counted("b", "repeated").await, 0);
}
