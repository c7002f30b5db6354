//! Calls whose hosts die.

use rustix::process::Signal;
use tokio::time::timeout;

use super::{Caller, counts, start, take_calls, three, under_way, work};
use crate::harness::{
    PATIENCE,
    cluster::{Cluster, Kind},
};

crate::on_all_stores!(
    core:
    every_idempotent_call_has_its_answer_though_a_host_dies,
    a_call_that_may_be_done_only_once_fails_with_its_host,
    a_host_that_stops_loses_no_call,
    calls_go_on_while_the_store_is_away,
);

async fn every_idempotent_call_has_its_answer_though_a_host_dies(kind: Kind) {
    let mut cluster = Cluster::new(kind).await.brief();
    three(&mut cluster, &work("idempotent = true")).await;
    let caller = Caller::of(&cluster, "a").await;
    let doomed = cluster.hosts.remove("b").unwrap();
    let outcomes = caller
        .calls(300, 16, "sleep 20", |count, _| {
            if count == 100 {
                doomed.signal(Signal::KILL);
            }
        })
        .await;
    assert!(outcomes.iter().all(|it| it.code == 200), "{outcomes:?}");
    let again = outcomes.iter().filter(|it| it.attempt != "1").count();
    println!("{:?}, {again} at a second attempt", counts(&outcomes));
    // Some calls were in flight on that host, and others executed them.
    assert!(again > 0, "{outcomes:?}");
    doomed.kill().await;
}

async fn a_call_that_may_be_done_only_once_fails_with_its_host(kind: Kind) {
    let mut cluster = Cluster::new(kind).await.brief();
    start(&mut cluster, &["a", "b"], &work("require_label = \"name=b\"")).await;
    take_calls(&cluster, "a", &["b"]).await;
    let caller = Caller::of(&cluster, "a").await;
    let waits = tokio::spawn(async move { caller.call("sleep 60000").await });
    under_way(&cluster, "b", 1).await;
    cluster.kill("b").await;
    let lost = timeout(PATIENCE, waits).await.unwrap().unwrap();
    assert_eq!(lost.code, 502, "{lost:?}");
    assert!(
        lost.body.contains("b was lost while it worked on it, and may have done it"),
        "{lost:?}"
    );
    assert!(lost.body.contains("idempotent = true"), "{lost:?}");
}

/// This holds even for calls that must not be executed twice: the host takes no new ones and
/// finishes the others.
async fn a_host_that_stops_loses_no_call(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    three(&mut cluster, &work("")).await;
    let caller = Caller::of(&cluster, "a").await;
    let leaving = cluster.hosts.remove("b").unwrap();
    let outcomes = caller
        .calls(300, 16, "sleep 20", |count, _| {
            if count == 100 {
                leaving.signal(Signal::TERM);
            }
        })
        .await;
    let counts = counts(&outcomes);
    assert!(outcomes.iter().all(|it| it.code == 200), "{outcomes:?}");
    assert!(outcomes.iter().all(|it| it.attempt == "1"), "{counts:?}");
    drop(leaving);
}

async fn calls_go_on_while_the_store_is_away(kind: Kind) {
    if kind == Kind::Sqlite {
        // The embedded store is a file, and cannot be lost in this way.
        return;
    }
    let mut cluster = Cluster::new(kind).await.brief();
    three(&mut cluster, &work("")).await;
    let _held = match &mut cluster.etcd {
        Some(etcd) => {
            etcd.kill().await;
            None
        }
        None => Some(cluster.hold_store()),
    };
    cluster.host("a").log.event(0, "store-lost").await;
    let caller = Caller::of(&cluster, "a").await;
    let outcomes = caller.calls(30, 4, "echo x", |_, _| ()).await;
    assert!(outcomes.iter().all(|it| it.code == 200), "{outcomes:?}");
    assert_eq!(counts(&outcomes).len(), 3);
}
