//! etcd comes back without its data.

use super::{ends, not_ready};
use crate::harness::{
    client::Answer,
    cluster::{Cluster, Kind},
};

/// `a` leads under a fencing token that an etcd without this history would give out again.
async fn led_by_a_for_long() -> (Cluster, Answer) {
    let mut cluster = Cluster::new(Kind::Etcd).await.brief();
    let etcd = cluster.etcd.as_mut().expect("etcd");
    etcd.kill().await;
    etcd.back_up();
    etcd.start().await;
    let mut hand = etcd.connect().await;
    for round in 0..100 {
        hand.put("other", format!("{round}"), None).await.expect("put");
    }
    cluster.start("a");
    let leads = cluster.web.until("a", |_| true).await;
    assert!(leads.fencing_token > 100, "{leads:?}");
    (cluster, leads)
}

/// Checks that `a` reports why it does not lead, and leads after a restart.
async fn a_asks_to_be_restarted(mut cluster: Cluster, before: Answer, seen: usize) {
    let a = cluster.host("a");
    let told = a.log.event(seen, "not-ready").await;
    let status = a.status().await;
    let group = &status["groups"]["main"];
    assert_ne!(group["role"], "leader", "{status}");
    for said in [told["message"].as_str(), group["obstacle"].as_str(), Some(&not_ready(a).await)] {
        let said = said.unwrap_or_default();
        for word in ["was reset or restored", "restart this host if that was meant"] {
            assert!(said.contains(word), "no {word:?} in {said:?}\n{status}");
        }
    }
    assert_eq!(cluster.web.get("/").await, None, "nobody leads");
    cluster.terminate("a").await;
    cluster.start("a");
    let after = cluster.web.until("a", |_| true).await;
    assert!(after.fencing_token < before.fencing_token, "{before:?} then {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_lost_its_data_is_not_led_on_unasked() {
    let (mut cluster, before) = led_by_a_for_long().await;
    let seen = cluster.host("a").log.len();
    let etcd = cluster.etcd.as_mut().expect("etcd");
    etcd.kill().await;
    etcd.wipe();
    ends(cluster.host("a"), seen, "deadline").await;
    assert_eq!(cluster.web.get("/").await, None, "nobody listens outside a term");
    cluster.etcd.as_mut().expect("etcd").start().await;
    a_asks_to_be_restarted(cluster, before, seen).await;
}

/// The older etcd does not know the lease, so the term ends as soon as it answers.
#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_was_set_back_is_not_led_on_unasked() {
    let (mut cluster, before) = led_by_a_for_long().await;
    let seen = cluster.host("a").log.len();
    let etcd = cluster.etcd.as_mut().expect("etcd");
    etcd.kill().await;
    etcd.restore();
    etcd.start().await;
    cluster.host("a").log.event(seen, "stopped").await;
    a_asks_to_be_restarted(cluster, before, seen).await;
}
