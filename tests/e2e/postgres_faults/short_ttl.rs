//! The shortest TTL, 1 s, from end to end.

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::{
    harness::{
        cluster::{Cluster, Kind},
        crowd::Crowd,
        guests,
        process::agrees,
    },
    store_loss::TAKE_OVER,
};

crate::on_all_stores!(core: leaders_are_lost_under_the_shortest_ttl);

const SHORTEST: Duration = Duration::from_secs(1);
/// How often a leader is killed, and how often one is frozen.
const ROUNDS: usize = 3;

async fn leaders_are_lost_under_the_shortest_ttl(kind: Kind) {
    if kind == Kind::Etcd {
        // It grants no less than 2 s.
        return;
    }
    let mut cluster = Cluster::new(kind).await.running(guests().join("register.wasm"));
    cluster.ttl = SHORTEST;
    for name in ["a", "b"] {
        cluster.join_with(name, "state = true\n").await;
    }
    let mut leads = cluster.web.until("a leader", |_| true).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    for round in 0..2 * ROUNDS {
        let seen = cluster.lengths();
        let (leader, other) = if leads.host == "a" { ("a", "b") } else { ("b", "a") };
        let fault = Instant::now();
        let is_killed = round % 2 == 0;
        if is_killed {
            cluster.kill(leader).await;
        } else {
            cluster.freeze(leader).await;
        }
        agrees(cluster.host(other), |it| it["groups"]["main"]["role"] == "leader").await;
        let took = fault.elapsed();
        println!("another leads after {took:?}");
        assert!(took < SHORTEST + TAKE_OVER, "after {took:?}");
        if is_killed {
            cluster.join_with(leader, "state = true\n").await;
        } else {
            // Until then it keeps the address.
            cluster.signal(leader, Signal::CONT);
            let log = &cluster.host(leader).log;
            log.event(seen[leader], "stopped").await;
            log.event(log.last("stopped"), "standby").await;
        }
        leads = cluster.web.until("a leader", |it| it.fencing_token > leads.fencing_token).await;
    }
    crowd.disperse().await;
}
