//! Operators change etcd's data by hand.

use etcd_client::{DeleteOptions, GetOptions};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::{ends, is_next, kept_its_place, leads_on, outlives_its_lease, text};
use crate::harness::{
    CALM_TTL, TTL,
    client::Answer,
    cluster::{Cluster, Kind},
    crowd::Crowd,
    etcd_cluster::EtcdCluster,
    process::{agrees, run, soloist},
    proxy::{Hole, Proxy},
};

const QUEUE: &str = "/soloist/test/election/main/";

/// A cluster in which `a` leads, and `b` and perhaps others stand by.
async fn led_by_a(others: &[&'static str]) -> (Cluster, Answer, etcd_client::Client) {
    let mut cluster = Cluster::new(Kind::Etcd).await.brief();
    cluster.join("a").await;
    let leads = cluster.web.until("a", |_| true).await;
    for name in others {
        cluster.join(name).await;
        is_next(cluster.host(others[0])).await;
    }
    let etcd = cluster.etcd.as_ref().expect("etcd").connect().await;
    (cluster, leads, etcd)
}

/// The lease of the session that a host opened last.
fn lease(cluster: &Cluster, name: &str) -> i64 {
    let session = cluster.host(name).log.events("session").pop().expect("a session");
    i64::from_str_radix(text(&session["lease"]), 16).expect("a lease")
}

fn candidate(cluster: &Cluster, name: &str) -> String {
    format!("{QUEUE}{:x}", lease(cluster, name))
}

/// Checks that `b` leads long before a lease could expire, that no client got a stale answer, and
/// that `a` stands again by itself.
async fn b_leads_at_once(cluster: &mut Cluster, crowd: Crowd, before: &Answer, since: Instant) {
    crowd.hears_newer_than(before.fencing_token).await;
    let took = since.elapsed();
    assert!(took < TTL / 2, "b took over after {took:?}:\n{}", cluster.host("b").log);
    crowd.disperse().await;
    let a = &cluster.host("a").log;
    let ended = a.story().iter().position(|event| event == "stopped").expect("an end");
    assert!(a.story()[..ended].iter().filter(|event| *event == "standby").count() == 1, "{a}");
    while a.events("standby").len() < 2 {
        a.event(a.len(), "standby").await;
    }
    cluster.terminate("b").await;
    cluster.web.until("a again", |answer| answer.host == "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_lease_ends_the_term_at_once() {
    let (mut cluster, before, mut etcd) = led_by_a(&["b"]).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    let since = Instant::now();
    etcd.lease_revoke(lease(&cluster, "a")).await.expect("revoked");
    // The watch reports the deleted key, and a renewal reports the lease, in either order.
    let end = cluster.host("a").log.event(0, "stopping").await;
    let cause = text(&end["cause"]);
    assert!(cause.contains("candidacy was deleted") || cause.contains("no longer knows"), "{end}");
    b_leads_at_once(&mut cluster, crowd, &before, since).await;
    let sessions = cluster.host("a").log.events("session").len();
    assert_eq!(sessions, 2, "it opened another session: {}", cluster.host("a").log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_leader_key_ends_the_term_at_once() {
    let (mut cluster, before, mut etcd) = led_by_a(&["b"]).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    let since = Instant::now();
    let deleted = etcd.delete(candidate(&cluster, "a"), None).await.expect("deleted").deleted();
    assert_eq!(deleted, 1, "the leader's key");
    ends(cluster.host("a"), 0, "candidacy was deleted").await;
    b_leads_at_once(&mut cluster, crowd, &before, since).await;
    let sessions = cluster.host("a").log.events("session").len();
    assert_eq!(sessions, 1, "its lease was well: {}", cluster.host("a").log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_whose_key_was_deleted_stands_anew() {
    let (mut cluster, before, mut etcd) = led_by_a(&["b", "c"]).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    let seen = cluster.host("b").log.len();
    etcd.delete(candidate(&cluster, "b"), None).await.expect("deleted");
    cluster.host("b").log.event(seen, "standby").await;
    cluster.terminate("a").await;
    crowd.hears_newer_than(before.fencing_token).await;
    let leader = cluster.web.until("the next in the queue", |answer| answer.host != "a").await;
    assert_eq!(leader.host, "c", "b stands last: {}", cluster.host("b").log);
    cluster.terminate("c").await;
    cluster.web.until("b", |answer| answer.host == "b").await;
    crowd.disperse().await;
}

/// Compacts etcd's history, as etcd can do on its own.
async fn compact(etcd: &mut etcd_client::Client) {
    let options = GetOptions::new().with_count_only();
    let now = etcd.get("none", Some(options)).await.expect("an answer");
    let revision = now.header().expect("a header").revision();
    etcd.compact(revision, None).await.expect("compacted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_ends_nothing() {
    let (mut cluster, before, mut etcd) = led_by_a(&["b"]).await;
    for round in 0..5 {
        etcd.put("other", format!("{round}"), None).await.expect("put");
        compact(&mut etcd).await;
    }
    outlives_its_lease(cluster.host("a")).await;
    leads_on(cluster.host("a"), before.fencing_token).await;
    kept_its_place(cluster.host("b"));
    // All hosts see later changes.
    cluster.terminate("a").await;
    cluster.web.until("b", |answer| answer.host == "b").await;
}

/// A host that has missed a part of the history that is now compacted.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_was_left_behind_recovers() {
    let (mut cluster, before, mut etcd) = led_by_a(&["b"]).await;
    let proxy = Proxy::before(cluster.etcd.as_ref().expect("etcd").endpoint()).await;
    cluster.join_by("c", format!("etcd://{}", proxy.endpoint())).await;
    let c = cluster.host("c").log.clone();
    c.find(0, "following a", |line| line["event"] == "following" && line["leader"] == "a").await;
    let seen = c.len();
    proxy.hole(Hole::Both);
    c.event(seen, "store-lost").await;
    cluster.terminate("a").await;
    let after = cluster.web.until("b", |answer| answer.host == "b").await;
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
    compact(&mut etcd).await;
    proxy.forget();
    proxy.hole(Hole::None);
    c.find(seen, "following b", |line| line["event"] == "following" && line["leader"] == "b").await;
    cluster.terminate("b").await;
    cluster.web.until("c", |answer| answer.host == "c").await;
}

/// The names of the live hosts in a status.
fn live(status: &Value) -> Vec<&str> {
    let members = status["hosts"].as_array().expect("members").iter();
    members
        .filter(|it| it["live"] == true && !it["first_seen_at"].is_null())
        .map(|it| text(&it["name"]))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_deleted_of_the_hosts_is_written_again() {
    let etcd = EtcdCluster::started().await;
    let mut cluster = Cluster::at(etcd.url(), CALM_TTL).with_three().await;
    let before = cluster.web.until("a", |_| true).await;
    let mut hand = etcd.members[1].connect().await;
    let all = Some(DeleteOptions::new().with_prefix());
    let deleted = hand.delete("/soloist", all).await.expect("deleted").deleted();
    assert!(deleted >= 9, "{deleted} keys: three candidates, members and known hosts");
    crate::harness::crowd::Crowd::gather(&cluster.web, 1)
        .hears_newer_than(before.fencing_token)
        .await;
    for name in ["a", "b", "c"] {
        agrees(cluster.host(name), |status| live(status) == ["a", "b", "c"]).await;
    }
    // Only `b` has to write its record again; the others see it disappear and come back.
    hand.delete("/soloist/test/members/b", None).await.expect("deleted");
    hand.delete("/soloist/test/hosts/b", None).await.expect("deleted");
    for name in ["a", "b", "c"] {
        agrees(cluster.host(name), |status| live(status) == ["a", "b", "c"]).await;
        assert_eq!(cluster.host(name).log.events("session").len(), 1, "its session was well");
    }
    let url = format!("http://{}", cluster.host("c").api().await);
    let drained = run(soloist().args(["drain", "a"]).env("SOLOIST_URL", url)).await;
    assert!(drained.status.success(), "{}", drained.output);
    cluster.web.until("another", |answer| answer.host != "a").await;
    cluster.terminate("a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_leader_has_said_is_said_again() {
    let (cluster, before, mut etcd) = led_by_a(&["b"]).await;
    let key = candidate(&cluster, "a");
    // The record that the host wrote before it led is overwritten.
    let said = r#"{"host":"a","url":"http://elsewhere"}"#;
    let lease = etcd_client::PutOptions::new().with_lease(lease(&cluster, "a"));
    etcd.put(key, said, Some(lease)).await.expect("put");
    let led = |status: &Value| {
        let group = &status["groups"]["main"];
        group["leader_url"] != "http://elsewhere" && !group["leading_since"].is_null()
    };
    agrees(cluster.host("b"), led).await;
    leads_on(cluster.host("a"), before.fencing_token).await;
}

/// Otherwise the next host that starts would find no identity and create another one, and every
/// host that noticed later would end its terms.
#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_is_deleted_is_put_back_at_once() {
    const IDENTITY: &str = "/soloist/test/cluster";
    let (mut cluster, before, mut etcd) = led_by_a(&["b"]).await;
    let read = async |etcd: &mut etcd_client::Client| {
        let found = etcd.get(IDENTITY, None).await.expect("etcd answers");
        found.kvs().first().map(|key| key.value().to_owned())
    };
    let identity = read(&mut etcd).await;
    let mut changes = etcd.watch(IDENTITY, None).await.expect("a watch");
    etcd.delete(IDENTITY, None).await.expect("deleted");
    let again = async {
        while read(&mut etcd).await.is_none() {
            changes.message().await.expect("etcd goes on");
        }
    };
    // The hosts are notified: their own look would come four seconds later at the earliest.
    timeout(TTL, again).await.expect("it is put back");
    assert_eq!(read(&mut etcd).await, identity);
    cluster.join("c").await;
    leads_on(cluster.host("a"), before.fencing_token).await;
    for name in ["a", "b", "c"] {
        let log = &cluster.host(name).log;
        assert!(log.events("store-changed").is_empty(), "{name}: {log}");
    }
}
