//! What clients see while leaders are stopped, killed and frozen.

use rustix::process::Signal;

use crate::harness::{
    cluster::{Cluster, Kind},
    crowd::Crowd,
};

crate::on_all_stores!(core: a_frozen_leader_answers_nothing_stale, tokens_never_go_back,);

async fn a_frozen_leader_answers_nothing_stale(kind: Kind) {
    let cluster = Cluster::new(kind).await.brief().with_three().await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    let crowd = Crowd::gather(&cluster.web, 4);
    cluster.freeze("a").await;
    let frozen = cluster.host("a").log.len();
    // The lease of the frozen leader expires, but its process still holds the address.
    cluster.host("b").log.event(0, "leading").await;
    cluster.signal("a", Signal::CONT);
    let a = &cluster.host("a").log;
    let end = a.event(0, "stopping").await;
    assert!(end["cause"].as_str().is_some_and(|cause| cause.contains("deadline")), "{end}");
    crowd.hears_newer_than(before.fencing_token).await;
    crowd.disperse().await;
    // The woken host lives on, and stands again.
    a.event(frozen, "standby").await;
}

async fn tokens_never_go_back(kind: Kind) {
    let mut cluster = Cluster::new(kind).await.brief().with_three().await;
    let crowd = Crowd::gather(&cluster.web, 4);
    let mut newest = cluster.web.until("a", |_| true).await;
    for round in 0..6 {
        let leader = ["a", "b", "c"].into_iter().find(|n| *n == newest.host).expect("a host");
        match round % 3 {
            0 => {
                cluster.terminate(leader).await;
            }
            1 => cluster.kill(leader).await,
            _ => {
                let seen = cluster.lengths();
                cluster.freeze(leader).await;
                cluster.another_leads(leader, &seen).await;
                cluster.signal(leader, Signal::CONT);
            }
        }
        let before = newest.fencing_token;
        crowd.hears_newer_than(before).await;
        newest = cluster
            .web
            .until("a newer fencing token", |answer| answer.fencing_token > before)
            .await;
        if !cluster.hosts.contains_key(leader) {
            cluster.join(leader).await;
        }
    }
    let fencing_tokens = crowd.disperse().await;
    assert!(fencing_tokens.len() > 6, "clients saw every term: {:?}", fencing_tokens.keys());
}
