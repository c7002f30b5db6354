//! What a client sees while leaders are stopped, killed and frozen.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::StatusCode;
use rustix::process::Signal;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::harness::{
    PATIENCE,
    client::Web,
    cluster::{Cluster, Kind},
};

crate::on_both_stores!(a_frozen_leader_answers_nothing_stale, tokens_never_go_back,);

/// Clients that ask all the time, each checking that tokens never go back.
struct Crowd {
    stop: Arc<AtomicBool>,
    newest: watch::Sender<i64>,
    clients: JoinSet<BTreeSet<i64>>,
}

impl Crowd {
    fn gather(web: &Web, size: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let newest = watch::Sender::new(0);
        let mut clients = JoinSet::new();
        for _ in 0..size {
            clients.spawn(ask(web.clone(), Arc::clone(&stop), newest.clone()));
        }
        Self { stop, newest, clients }
    }

    /// Awaits that one of them gets an answer with a newer token than `token`.
    async fn hears_newer_than(&self, token: i64) {
        let mut newest = self.newest.subscribe();
        let heard = timeout(PATIENCE, newest.wait_for(|newest| *newest > token)).await;
        heard.expect("a newer token").expect("clients");
    }

    /// Sends the clients home. Returns all tokens that they saw.
    async fn disperse(self) -> BTreeSet<i64> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.join_all().await.into_iter().flatten().collect()
    }
}

/// Asks until `stop`. Before each request the newest token that *anybody* has
/// received by then is noted: an answer must not be older.
async fn ask(web: Web, stop: Arc<AtomicBool>, newest: watch::Sender<i64>) -> BTreeSet<i64> {
    let mut seen = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        let known = *newest.borrow();
        if let Some(answer) = web.get("/").await
            && answer.status == StatusCode::OK
        {
            assert!(answer.token >= known, "{answer:?} after token {known}");
            newest.send_if_modified(|newest| {
                let newer = answer.token > *newest;
                *newest = answer.token.max(*newest);
                newer
            });
            seen.insert(answer.token);
        }
        sleep(Duration::from_millis(2)).await;
    }
    seen
}

async fn a_frozen_leader_answers_nothing_stale(kind: Kind) {
    let cluster = Cluster::of_three(kind).await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    let crowd = Crowd::gather(&cluster.web, 4);
    cluster.freeze("a").await;
    let frozen = cluster.host("a").log.len();
    // The others see the lease run out; the frozen process still holds the address.
    cluster.host("b").log.event(0, "leading").await;
    cluster.signal("a", Signal::CONT);
    let a = &cluster.host("a").log;
    let end = a.event(0, "stopping").await;
    assert!(end["cause"].as_str().is_some_and(|cause| cause.contains("deadline")), "{end}");
    crowd.hears_newer_than(before.token).await;
    crowd.disperse().await;
    // It lives on, and stands again.
    a.event(frozen, "standby").await;
}

async fn tokens_never_go_back(kind: Kind) {
    let mut cluster = Cluster::of_three(kind).await;
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
        let before = newest.token;
        crowd.hears_newer_than(before).await;
        newest = cluster.web.until("a newer token", |answer| answer.token > before).await;
        if !cluster.hosts.contains_key(leader) {
            cluster.join(leader).await;
        }
    }
    let tokens = crowd.disperse().await;
    assert!(tokens.len() > 6, "clients saw every term: {tokens:?}");
}
