//! etcd comes back without its data.

use super::{ends, text};
use crate::harness::{
    client::Answer,
    cluster::{Cluster, Kind},
    process::{agrees, until_readiness},
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

/// Checks that `a` says what has happened, and leads again by itself under a higher fencing token.
async fn a_goes_on_above(cluster: Cluster, before: Answer, seen: usize) {
    let a = cluster.host("a");
    let said = a.log.event(seen, "store-changed").await;
    assert!(text(&said["message"]).contains("was reset or restored"), "{said}");
    a.log.event(seen, "tokens-raised").await;
    let after = cluster.web.until("a", |answer| answer.fencing_token > before.fencing_token).await;
    let now = after.fencing_token;
    agrees(a, |status| status["groups"]["main"]["fencing_token"] == now).await;
    until_readiness(a, true, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_lost_its_data_is_led_on_under_a_higher_fencing_token() {
    let (mut cluster, before) = led_by_a_for_long().await;
    let seen = cluster.host("a").log.len();
    let etcd = cluster.etcd.as_mut().expect("etcd");
    etcd.kill().await;
    etcd.wipe();
    ends(cluster.host("a"), seen, "deadline").await;
    assert_eq!(cluster.web.get("/").await, None, "nobody listens outside a term");
    cluster.etcd.as_mut().expect("etcd").start().await;
    a_goes_on_above(cluster, before, seen).await;
}

/// The older etcd does not know the lease, so the term ends as soon as it answers.
#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_was_set_back_is_led_on_under_a_higher_fencing_token() {
    let (mut cluster, before) = led_by_a_for_long().await;
    let seen = cluster.host("a").log.len();
    let etcd = cluster.etcd.as_mut().expect("etcd");
    etcd.kill().await;
    etcd.restore();
    etcd.start().await;
    cluster.host("a").log.event(seen, "stopped").await;
    a_goes_on_above(cluster, before, seen).await;
}
