//! Leadership, from the first start to the last stop.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::timeout;

use crate::harness::{
    TTL,
    cluster::{Cluster, Kind},
    guests,
};

crate::on_all_stores!(
    core:
    one_host_alone_leads,
    a_graceful_stop_hands_over,
    ctrl_c_is_a_graceful_stop,
    a_killed_leader_is_replaced,
    a_killed_standby_is_not_missed,
    a_host_that_comes_back_stands_by,
    hosts_start_in_any_order,
    what_is_in_flight_finishes,
    everything_stops,
);

async fn one_host_alone_leads(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.start("a");
    let answer = cluster.web.until("a", |_| true).await;
    assert_eq!((answer.host.as_str(), answer.body.trim()), ("a", "I am server a"));
    let leading = cluster.leading("a").await;
    assert_eq!(leading["fencing_token"], answer.fencing_token);
}

async fn a_graceful_stop_hands_over(kind: Kind) {
    let mut cluster = Cluster::of_three(kind).await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    let log = cluster.terminate("a").await;
    let after = cluster.web.until("b", |answer| answer.host == "b").await;
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
    // The order in which a term ends: the leadership is given up when nothing runs any more.
    let story = log.story();
    let at = |event: &str| {
        story.iter().position(|e| e == event).unwrap_or_else(|| panic!("no {event}:\n{log}"))
    };
    assert!(at("leading") < at("draining"), "{story:?}");
    assert!(at("draining") < at("stopping"), "{story:?}");
    assert!(at("stopping") < at("stopped"), "{story:?}");
    assert!(at("stopped") < at("resigning"), "{story:?}");
}

async fn ctrl_c_is_a_graceful_stop(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.start("a");
    cluster.leading("a").await;
    cluster.signal("a", Signal::INT);
    let mut host = cluster.hosts.remove("a").expect("a");
    assert!(host.ended().await.success(), "{}", host.log);
    assert!(host.log.story().contains(&"resigning".to_owned()), "{}", host.log);
}

async fn a_killed_leader_is_replaced(kind: Kind) {
    let mut cluster = Cluster::new(kind).await.brief().with_three().await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    cluster.kill("a").await;
    let promised = TTL + Duration::from_millis(1500);
    let after = timeout(promised, cluster.web.until("b", |answer| answer.host != "a")).await;
    let after = after.unwrap_or_else(|_| panic!("nobody took over within {promised:?}"));
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
}

async fn a_killed_standby_is_not_missed(kind: Kind) {
    let mut cluster = Cluster::of_three(kind).await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    cluster.kill("b").await;
    cluster.terminate("c").await;
    let after = cluster.web.until("a", |_| true).await;
    assert_eq!(after, before);
}

async fn a_host_that_comes_back_stands_by(kind: Kind) {
    let mut cluster = Cluster::of_three(kind).await;
    cluster.terminate("a").await;
    cluster.web.until("b", |answer| answer.host == "b").await;
    cluster.join("a").await;
    cluster.host("a").log.event(0, "following").await;
    let answer = cluster.web.until("b", |_| true).await;
    assert_eq!(answer.host, "b");
    // The queue is first in, first out.
    cluster.terminate("b").await;
    cluster.web.until("c", |answer| answer.host == "c").await;
    cluster.terminate("c").await;
    cluster.web.until("a", |answer| answer.host == "a").await;
}

async fn hosts_start_in_any_order(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    for name in ["c", "a", "b"] {
        cluster.start(name);
    }
    let first = cluster.web.until("anybody", |_| true).await;
    let name = ["a", "b", "c"].into_iter().find(|name| *name == first.host).expect("a host");
    cluster.terminate(name).await;
    let second = cluster.web.until("another", |answer| answer.host != first.host).await;
    assert!(second.fencing_token > first.fencing_token, "{first:?} then {second:?}");
}

async fn what_is_in_flight_finishes(kind: Kind) {
    let mut cluster = Cluster::with_plugin(kind, guests().join("spin.wasm")).await;
    cluster.join("a").await;
    cluster.web.until("a", |answer| answer.host == "a").await;
    cluster.join("b").await;
    let web = cluster.web.clone();
    let slow = tokio::spawn(async move { web.get("/sleep?ms=700").await });
    // The host logs this line while the request is in flight.
    cluster.host("a").log.find(0, "request", |line| line["message"] == "sleeping").await;
    let log = cluster.terminate("a").await;
    let answer = slow.await.expect("no panic").expect("an answer");
    assert_eq!((answer.host.as_str(), answer.body.trim()), ("a", "slept"), "{log}");
    cluster.web.until("b", |answer| answer.host == "b" && answer.fencing_token > 0).await;
}

async fn everything_stops(kind: Kind) {
    let mut cluster = Cluster::of_three(kind).await;
    for name in ["a", "b", "c"] {
        cluster.signal(name, Signal::TERM);
    }
    for (name, mut host) in std::mem::take(&mut cluster.hosts) {
        let status = host.ended().await;
        assert!(status.success(), "{name} ended with {status}:\n{}", host.log);
    }
    assert_eq!(cluster.web.get("/").await, None);
}
