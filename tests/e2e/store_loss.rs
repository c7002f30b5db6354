//! The store is slow, partly or completely lost, changed by hand, and comes back.
//!
//! Losing the store ends the terms in time, and never the process. Losing less than the store ends
//! nothing.

mod auth;
mod data;
mod disk;
mod file;
mod hands;
mod identity;
mod members;
mod network;
mod refused;
mod unknown;
mod writes;

use std::{collections::BTreeMap, time::Duration};

use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::Instant;

use crate::harness::{
    TTL,
    cluster::{Cluster, Kind},
    etcd::Etcd,
    plugins,
    process::{Process, agrees},
};

/// The TTL of terms that must continue: what is left of it after one lost renewal is more than the
/// delays of a busy machine.
pub(crate) const LONGER_TTL: Duration = Duration::from_secs(3);
/// How long a take-over may take beyond the TTL: etcd looks for expired leases every 500 ms, and
/// the winner looks again and starts its actions.
pub(crate) const TAKE_OVER: Duration = Duration::from_millis(1500);

/// Waits until a host has kept its lease for longer than a TTL.
pub(crate) async fn outlives_its_lease(host: &Process) {
    // Renewals are at least one fifth of the TTL apart.
    for _ in 0..6 {
        host.log.event(host.log.len(), "renewed").await;
    }
}

/// Checks that a host has had one term, and is still in it.
pub(crate) async fn leads_on(host: &Process, fencing_token: i64) {
    let ended = ["stopping", "draining"].map(|event| host.log.events(event).len());
    assert_eq!((host.log.events("leading").len(), ended), (1, [0, 0]), "{}", host.log);
    let group = host.status().await["groups"]["main"].clone();
    assert_eq!(
        (&group["role"], &group["fencing_token"]),
        (&"leader".into(), &fencing_token.into()),
        "{group}"
    );
}

/// Waits until a host is next. A host reports that it stands before it is in the queue.
async fn is_next(host: &Process) {
    agrees(host, |status| status["groups"]["main"]["role"] == "next").await;
}

/// Checks that a host has kept its first place in the queue.
pub(crate) fn kept_its_place(host: &Process) {
    assert_eq!(host.log.events("standby").len(), 1, "{}", host.log);
}

/// Waits until a host's term ends with a cause that contains `why`.
async fn ends(host: &Process, seen: usize, why: &str) {
    let end = host.log.event(seen, "stopping").await;
    assert!(end["cause"].as_str().is_some_and(|cause| cause.contains(why)), "{end}");
    host.log.event(seen, "stopped").await;
}

/// Checks that there was no answer under `fencing_token` after the TTL that began before `fault`.
fn fell_silent_in_time(heard: &BTreeMap<i64, Instant>, fencing_token: i64, fault: Instant) {
    let silent_after = heard[&fencing_token].duration_since(fault);
    assert!(silent_after < TTL, "token {fencing_token} was heard {silent_after:?} after the fault");
}

/// The answer of `/readyz` while a host is not ready.
async fn not_ready(host: &Process) -> String {
    let url = format!("http://{}/readyz", host.api().await);
    let answer = reqwest::get(url).await.expect("the process lives");
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{}", host.log);
    answer.text().await.expect("a reason")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_is_waited_for() {
    let mut cluster = Cluster::on(Some(Etcd::stopped()), plugins().join("i-am-server.wasm"));
    cluster.start("a");
    let lost = cluster.host("a").log.event(0, "store-lost").await;
    let endpoint = cluster.etcd.as_ref().expect("etcd").endpoint();
    assert!(lost["message"].as_str().is_some_and(|text| text.contains(&endpoint)), "{lost}");
    let api = cluster.host("a").api().await;
    let ready = reqwest::get(format!("http://{api}/readyz")).await.expect("an answer");
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    cluster.etcd.as_mut().expect("etcd").start().await;
    cluster.host("a").log.event(0, "store-back").await;
    cluster.web.until("a", |answer| answer.host == "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_store_ends_the_term_and_not_the_process() {
    let mut cluster = Cluster::new(Kind::Etcd).await.brief();
    cluster.start("a");
    let before = cluster.web.until("a", |_| true).await;
    let seen = cluster.host("a").log.len();
    cluster.etcd.as_mut().expect("etcd").kill().await;
    let log = cluster.host("a").log.clone();
    let end = log.event(seen, "stopping").await;
    assert!(end["cause"].as_str().is_some_and(|cause| cause.contains("deadline")), "{end}");
    log.event(seen, "stopped").await;
    assert_eq!(cluster.web.get("/").await, None, "nobody listens outside a term");
    let status = cluster.host("a").status().await;
    assert!(status["store"]["last_error"].is_string(), "{status}");
    assert_ne!(status["groups"]["main"]["role"], "leader", "{status}");
    cluster.etcd.as_mut().expect("etcd").start().await;
    let after = cluster.web.until("a again", |answer| answer.host == "a").await;
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_is_as_good_as_lost() {
    let mut cluster = Cluster::new(Kind::Etcd).await.brief();
    cluster.start("a");
    cluster.web.until("a", |_| true).await;
    let seen = cluster.host("a").log.len();
    let etcd = cluster.etcd.as_ref().expect("etcd");
    etcd.signal(Signal::STOP);
    cluster.host("a").log.event(seen, "stopped").await;
    assert_eq!(cluster.web.get("/").await, None, "nobody listens outside a term");
    etcd.signal(Signal::CONT);
    cluster.web.until("a again", |answer| answer.host == "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_store_a_host_still_stops() {
    let mut cluster = Cluster::new(Kind::Etcd).await.brief();
    cluster.start("a");
    cluster.web.until("a", |_| true).await;
    cluster.etcd.as_mut().expect("etcd").kill().await;
    cluster.host("a").log.event(0, "store-lost").await;
    let log = cluster.terminate("a").await;
    assert!(log.story().contains(&"stopped".to_owned()), "{log}");
}
