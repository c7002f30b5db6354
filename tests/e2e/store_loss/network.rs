//! The network between a host and etcd is slow, one-way, or silently dead.

use tokio::time::{Duration, Instant};

use super::{
    LONGER_TTL, TAKE_OVER, ends, fell_silent_in_time, is_next, kept_its_place, leads_on, not_ready,
    outlives_its_lease,
};
use crate::harness::{
    TTL,
    cluster::Cluster,
    crowd::Crowd,
    etcd::Etcd,
    etcd_cluster::EtcdCluster,
    proxy::{Hole, Proxy},
};

fn by(proxy: &Proxy) -> String {
    format!("etcd://{}", proxy.endpoint())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_etcd_ends_nothing_until_it_is_too_slow() {
    let etcd = Etcd::started().await;
    let proxy = Proxy::before(etcd.endpoint()).await;
    let mut cluster = Cluster::at(by(&proxy), LONGER_TTL);
    let request_timeout = LONGER_TTL / 5;
    cluster.join("a").await;
    let before = cluster.web.until("a", |_| true).await;
    cluster.join("b").await;
    is_next(cluster.host("b")).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    // A round trip takes six tenths of the request time-out.
    let delay = request_timeout * 3 / 10;
    proxy.delay(delay);
    outlives_its_lease(cluster.host("a")).await;
    let renewed = cluster.host("a").log.events("renewed").pop().expect("renewals");
    assert!(renewed["took_ms"].as_u64().map(Duration::from_millis) >= Some(delay * 2), "{renewed}");
    leads_on(cluster.host("a"), before.fencing_token).await;
    kept_its_place(cluster.host("b"));

    let seen = cluster.lengths();
    let fault = Instant::now();
    proxy.delay(request_timeout * 3 / 4);
    ends(cluster.host("a"), seen["a"], "deadline").await;
    assert_eq!(cluster.web.get("/").await, None, "nobody listens outside a term");
    let said = not_ready(cluster.host("a")).await;
    assert!(said.contains("no answer within 600 ms"), "{said}");
    proxy.delay(Duration::ZERO);
    crowd.hears_newer_than(before.fencing_token).await;
    let heard = crowd.disperse().await;
    assert!(heard[&before.fencing_token].duration_since(fault) < LONGER_TTL, "{heard:?}");
}

/// One call is not answered in time: a short stall, which does not end a term.
#[tokio::test(flavor = "multi_thread")]
async fn a_stall_costs_a_standby_no_place() {
    let etcd = Etcd::started().await;
    let proxy = Proxy::before(etcd.endpoint()).await;
    let mut cluster = Cluster::at(format!("etcd://{}", etcd.endpoint()), LONGER_TTL);
    cluster.join("a").await;
    cluster.leading("a").await;
    cluster.join_by("b", by(&proxy)).await;
    is_next(cluster.host("b")).await;
    cluster.join("c").await;
    let b = cluster.host("b").log.clone();
    b.event(b.len(), "renewed").await;
    let seen = b.len();
    proxy.hole(Hole::Both);
    b.event(seen, "store-lost").await;
    proxy.hole(Hole::None);
    b.event(seen, "store-back").await;
    outlives_its_lease(cluster.host("b")).await;
    kept_its_place(cluster.host("b"));
    // It is still next, and notices that the leader leaves.
    cluster.terminate("a").await;
    cluster.leading("b").await;
}

async fn a_hole_ends_the_term_in_time(hole: Hole) {
    let etcd = Etcd::started().await;
    let proxy = Proxy::before(etcd.endpoint()).await;
    let mut cluster = Cluster::at(format!("etcd://{}", etcd.endpoint()), TTL);
    cluster.join_by("a", by(&proxy)).await;
    let before = cluster.web.until("a", |_| true).await;
    cluster.join("b").await;
    is_next(cluster.host("b")).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    let seen = cluster.lengths();
    let fault = Instant::now();
    proxy.hole(hole);
    ends(cluster.host("a"), seen["a"], "deadline").await;
    let said = not_ready(cluster.host("a")).await;
    assert!(said.contains("no answer within 400 ms"), "{said}");
    crowd.hears_newer_than(before.fencing_token).await;
    let took = fault.elapsed();
    assert!(took < TTL + TAKE_OVER, "b took over after {took:?}");
    proxy.hole(Hole::None);
    cluster.host("a").log.event(seen["a"], "standby").await;
    let heard = crowd.disperse().await;
    fell_silent_in_time(&heard, before.fencing_token, fault);
    cluster.terminate("b").await;
    cluster.web.until("a again", |answer| answer.host == "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_ends_the_term_in_time() {
    a_hole_ends_the_term_in_time(Hole::Both).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_etcd_ends_the_term_in_time() {
    a_hole_ends_the_term_in_time(Hole::ToStore).await;
}

/// etcd receives every renewal, so the lease lives; but the host cannot know that.
#[tokio::test(flavor = "multi_thread")]
async fn a_mute_etcd_ends_the_term_in_time() {
    a_hole_ends_the_term_in_time(Hole::ToHost).await;
}

/// The leader continues with another member. So does a standby, which takes over in time even if it
/// was cut off when the leader died: it knows within two fifths of the TTL, long before the
/// leader's lease has expired.
async fn a_hole_beside_other_members(hole: Hole) {
    let etcd = EtcdCluster::started().await;
    let first = etcd.members[0].endpoint();
    let (of_a, of_b) = (Proxy::before(first.clone()).await, Proxy::before(first).await);
    let mut cluster = Cluster::at(etcd.url(), LONGER_TTL);
    cluster.join_by("a", etcd.url_by(&of_a.endpoint())).await;
    let before = cluster.web.until("a", |_| true).await;
    cluster.join_by("b", etcd.url_by(&of_b.endpoint())).await;
    is_next(cluster.host("b")).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    of_a.hole(hole);
    outlives_its_lease(cluster.host("a")).await;
    leads_on(cluster.host("a"), before.fencing_token).await;
    of_b.hole(hole);
    wins_when_a_dies(&mut cluster, crowd, before.fencing_token).await;
}

async fn wins_when_a_dies(cluster: &mut Cluster, crowd: Crowd, fencing_token: i64) {
    let fault = Instant::now();
    cluster.kill("a").await;
    cluster.leading("b").await;
    crowd.hears_newer_than(fencing_token).await;
    let took = fault.elapsed();
    kept_its_place(cluster.host("b"));
    let bound = LONGER_TTL + TAKE_OVER;
    assert!(took < bound, "b took over after {took:?}:\n{}", cluster.host("b").log);
    crowd.disperse().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_beside_other_members_ends_nothing() {
    a_hole_beside_other_members(Hole::Both).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_member_beside_others_ends_nothing() {
    a_hole_beside_other_members(Hole::ToHost).await;
}

/// As a firewall that loses its table of connections: new connections work.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_connection_is_replaced() {
    let etcd = Etcd::started().await;
    let (of_a, of_b) = (Proxy::before(etcd.endpoint()).await, Proxy::before(etcd.endpoint()).await);
    let mut cluster = Cluster::at(by(&of_a), LONGER_TTL);
    cluster.join("a").await;
    let before = cluster.web.until("a", |_| true).await;
    cluster.join_by("b", by(&of_b)).await;
    is_next(cluster.host("b")).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    of_a.forget();
    outlives_its_lease(cluster.host("a")).await;
    leads_on(cluster.host("a"), before.fencing_token).await;
    of_b.forget();
    wins_when_a_dies(&mut cluster, crowd, before.fencing_token).await;
}
