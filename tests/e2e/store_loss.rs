//! The store is down at the start, gets lost, and comes back.

use reqwest::StatusCode;
use rustix::process::Signal;

use crate::harness::{
    cluster::{Cluster, Kind},
    etcd::Etcd,
    plugins,
};

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
    let mut cluster = Cluster::new(Kind::Etcd).await;
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
    assert!(after.token > before.token, "{before:?} then {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_is_as_good_as_lost() {
    let mut cluster = Cluster::new(Kind::Etcd).await;
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
    let mut cluster = Cluster::new(Kind::Etcd).await;
    cluster.start("a");
    cluster.web.until("a", |_| true).await;
    cluster.etcd.as_mut().expect("etcd").kill().await;
    cluster.host("a").log.event(0, "store-lost").await;
    let log = cluster.terminate("a").await;
    assert!(log.story().contains(&"stopped".to_owned()), "{log}");
}
