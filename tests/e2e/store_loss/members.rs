//! Some or all of etcd's members are lost.

use rustix::process::Signal;
use serde_json::Value;
use tokio::time::{Duration, Instant, sleep};

use super::{
    LONGER_TTL, ends, fell_silent_in_time, is_next, kept_its_place, leads_on, not_ready,
    outlives_its_lease,
};
use crate::harness::{
    CALM_TTL, TTL, client::Answer, cluster::Cluster, crowd::Crowd, etcd::Etcd,
    etcd_cluster::EtcdCluster, process::agrees,
};

/// Hosts `a`, which leads, and `b`, which stands by. Both use the first of three members.
async fn a_and_b(etcd: &EtcdCluster, ttl: Duration) -> (Cluster, Answer) {
    let mut cluster = Cluster::at(etcd.url(), ttl);
    cluster.join("a").await;
    let leads = cluster.web.until("a", |answer| answer.host == "a").await;
    cluster.join("b").await;
    is_next(cluster.host("b")).await;
    (cluster, leads)
}

/// Checks that `b` takes over from `a`.
async fn b_takes_over(cluster: &mut Cluster, before: &Answer) {
    cluster.terminate("a").await;
    let after = cluster.web.until("b", |answer| answer.host == "b").await;
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_etcd_s_leader_changes_nothing() {
    let etcd = EtcdCluster::started().await;
    let (mut cluster, before) = a_and_b(&etcd, LONGER_TTL).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    let first = etcd.leader().await;
    for next in 1..=3 {
        etcd.hand_over_to((first + next) % 3).await;
        for name in ["a", "b"] {
            cluster.host(name).log.event(cluster.host(name).log.len(), "renewed").await;
        }
    }
    outlives_its_lease(cluster.host("a")).await;
    leads_on(cluster.host("a"), before.fencing_token).await;
    kept_its_place(cluster.host("b"));
    b_takes_over(&mut cluster, &before).await;
    crowd.disperse().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_member_of_etcd_ends_nothing() {
    let mut etcd = EtcdCluster::started().await;
    let (mut cluster, before) = a_and_b(&etcd, LONGER_TTL).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    etcd.members[0].kill().await;
    outlives_its_lease(cluster.host("a")).await;
    leads_on(cluster.host("a"), before.fencing_token).await;
    etcd.members[0].start().await;
    // Now a member that no host uses: the next one in the hosts' list is etcd's leader.
    let bystander = 2;
    etcd.hand_over_to(1).await;
    etcd.members[bystander].kill().await;
    outlives_its_lease(cluster.host("a")).await;
    leads_on(cluster.host("a"), before.fencing_token).await;
    kept_its_place(cluster.host("b"));
    b_takes_over(&mut cluster, &before).await;
    crowd.disperse().await;
}

/// etcd needs up to two seconds, and a round of votes, for its next leader.
const TTL_BEYOND_AN_ELECTION: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_etcd_s_leader_ends_nothing() {
    let mut etcd = EtcdCluster::started().await;
    let (mut cluster, before) = a_and_b(&etcd, TTL_BEYOND_AN_ELECTION).await;
    let leader = etcd.leader().await;
    etcd.members[leader].kill().await;
    outlives_its_lease(cluster.host("a")).await;
    leads_on(cluster.host("a"), before.fencing_token).await;
    kept_its_place(cluster.host("b"));
    b_takes_over(&mut cluster, &before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_member_of_etcd_ends_nothing() {
    let etcd = EtcdCluster::started().await;
    let (mut cluster, before) = a_and_b(&etcd, LONGER_TTL).await;
    etcd.members[0].freeze();
    outlives_its_lease(cluster.host("a")).await;
    leads_on(cluster.host("a"), before.fencing_token).await;
    // The host does not stay with a member that is cut off.
    kept_its_place(cluster.host("b"));
    b_takes_over(&mut cluster, &before).await;
    etcd.members[0].signal(Signal::CONT);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_all_members_ends_the_term_in_time() {
    let mut etcd = EtcdCluster::started().await;
    let (mut cluster, before) = a_and_b(&etcd, TTL).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    let seen = cluster.lengths();
    let fault = Instant::now();
    etcd.kill().await;
    ends(cluster.host("a"), seen["a"], "deadline").await;
    assert_eq!(cluster.web.get("/").await, None, "nobody listens outside a term");
    let said = not_ready(cluster.host("a")).await;
    for member in &etcd.members {
        assert!(said.contains(&member.endpoint()), "{said}");
    }
    // The log reports the end of the term before the status does.
    let out = |status: &Value| status["groups"]["main"]["role"] == "out";
    let status = agrees(cluster.host("a"), out).await;
    assert_eq!(status["store"]["state"], "lost", "{status}");
    etcd.start().await;
    crowd.hears_newer_than(before.fencing_token).await;
    let heard = crowd.disperse().await;
    fell_silent_in_time(&heard, before.fencing_token, fault);
    // Whichever host leads first, the other one stands too.
    let leader = cluster.web.until("anybody", |_| true).await.host;
    let (leader, other) = if leader == "a" { ("a", "b") } else { ("b", "a") };
    cluster.host(other).log.event(seen[other], "standby").await;
    cluster.terminate(leader).await;
    cluster.web.until("the other", |answer| answer.host == other).await;
}

/// When etcd starts, it extends all leases by their full TTL (etcd: `lessor.Promote`). A session
/// that was abandoned while etcd was down is revoked when it is back, however long that took.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_given_up_is_in_nobody_s_way_when_etcd_is_back() {
    let ttl = Duration::from_secs(5);
    let mut etcd = Etcd::started().await;
    let mut cluster = Cluster::at(format!("etcd://{}", etcd.endpoint()), ttl);
    cluster.join("a").await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    etcd.kill().await;
    ends(cluster.host("a"), 0, "deadline").await;
    // Longer than the lease would have lasted with a running etcd.
    sleep(ttl + Duration::from_secs(1)).await;
    etcd.start().await;
    let back = Instant::now();
    let after =
        cluster.web.until("a again", |answer| answer.fencing_token > before.fencing_token).await;
    assert_eq!(after.host, "a");
    assert!(back.elapsed() < ttl, "it leads {:?} after etcd is back", back.elapsed());
}

/// The port differs from the right one by a digit.
#[tokio::test(flavor = "multi_thread")]
async fn the_address_for_peers_will_do() {
    let etcd = Etcd::started().await;
    let mut cluster = Cluster::at(format!("etcd://{}", etcd.endpoint()), CALM_TTL);
    cluster.join("a").await;
    cluster.web.until("a", |answer| answer.host == "a").await;
    cluster.join_by("b", format!("etcd://{}", etcd.peer_endpoint())).await;
    cluster.terminate("a").await;
    let before = cluster.web.until("b", |answer| answer.host == "b").await;
    cluster.join("c").await;
    cluster.terminate("b").await;
    let after = cluster.web.until("c", |answer| answer.host == "c").await;
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
}
