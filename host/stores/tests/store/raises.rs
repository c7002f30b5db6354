//! Fencing tokens that are raised exceed all earlier ones, and nobody leads for a while.

use std::time::Duration;

use futures::future::join;
use soloist_heart::{FencingToken, Group};
use soloist_stores::{StoreError, WriteGuard};
use tokio::time::timeout;

use crate::{
    identity::hears,
    state::put,
    world::{TestHost, World, soon},
};

/// The shortest grace period that etcd keeps.
const GRACE: Duration = Duration::from_secs(2);

/// A host that has not noticed anything may first be told that another one has raised them.
async fn raise(host: &TestHost, above: i64) {
    let above = FencingToken(above);
    soon(async { while host.store.raise_tokens(above, GRACE).await.is_err() {} }).await;
}

pub(crate) async fn later_fencing_tokens_exceed_what_was_asked(world: &mut World) {
    let a = world.host("a").await;
    let before = a.win().await;
    let above = before.fencing_token.0 + 1_000_000;
    raise(&a, above).await;
    // Who led leads no more, and its writes are refused.
    assert!(!soon(a.store.verify(&before)).await.unwrap());
    let state = a.store.state().unwrap();
    let late = soon(state.write(WriteGuard::Leader(&before), "web", &[put("k", "late")])).await;
    assert!(matches!(late, Err(StoreError::NotLeader)), "{late:?}");
    let b = world.host("b").await;
    let next = b.win().await;
    assert!(next.fencing_token.0 > above, "{next:?}");
    assert!(soon(b.store.verify(&next)).await.unwrap());
    soon(state.write(WriteGuard::Leader(&next), "web", &[put("k", "now")])).await.unwrap();
    // Everybody sees the same fencing token.
    let seen = a.roster(|roster| roster.leader(&Group::main()).is_some()).await;
    assert_eq!(seen.leader(&Group::main()).unwrap().key, next);
    assert!(seen.is_after(next.fencing_token));
    // And later ones go on from there.
    soon(b.store.resign(&next)).await.unwrap();
    assert!(a.win().await.fencing_token > next.fencing_token);
}

pub(crate) async fn nobody_leads_during_the_grace_period(world: &mut World) {
    let (a, b) = (world.host("a").await, world.host("b").await);
    let before = a.win().await;
    raise(&b, before.fencing_token.0 + 5).await;
    let roster = b.roster(|roster| roster.grace).await;
    assert!(roster.leader(&Group::main()).is_none(), "{roster:?}");
    assert!(timeout(GRACE * 3 / 4, b.win()).await.is_err(), "it leads too early");
    let next = b.win().await;
    let roster = b.roster(|roster| !roster.grace && roster.leader(&Group::main()).is_some()).await;
    assert_eq!(roster.leader(&Group::main()).unwrap().key, next);
}

pub(crate) async fn a_raise_that_is_not_needed_changes_nothing(world: &mut World) {
    let a = world.host("a").await;
    let above = a.win().await.fencing_token.0 + 1000;
    raise(&a, above).await;
    let key = a.win().await;
    for lower in [above, above - 1, 0] {
        raise(&a, lower).await;
    }
    assert!(soon(a.store.verify(&key)).await.unwrap());
    let roster = a.roster(|roster| roster.leader(&Group::main()).is_some()).await;
    assert!(!roster.grace);
}

pub(crate) async fn a_restored_store_goes_on_above_what_it_has_forgotten(world: &mut World) {
    let a = world.host("a").await;
    let backup = world.back_up().await;
    // More revisions than the restored store makes until the next leader.
    for _ in 0..20 {
        soon(a.store.join(a.lease, &a.member())).await.unwrap();
    }
    let forgotten = a.win().await;
    let mut told = a.store.mismatches();
    world.restore(&backup).await;
    let mismatch = hears(&a, &mut told).await;
    assert!(mismatch.above >= forgotten.fencing_token, "{mismatch:?}");
    raise(&a, mismatch.above.0).await;
    // A host that knows nothing of it.
    let newcomer = world.host("newcomer").await;
    let next = newcomer.win().await;
    assert!(next.fencing_token > forgotten.fencing_token, "{next:?} after {forgotten:?}");
    assert!(!told.has_changed().unwrap(), "its own raise is no news to it");
}

/// The raise takes the store past all that this host has seen of it.
pub(crate) async fn whoever_has_not_noticed_is_told_by_the_raise(world: &mut World) {
    let (a, oblivious) = (world.host("a").await, world.host("b").await);
    let mut told = oblivious.store.mismatches();
    raise(&a, 1 << 50).await;
    // It follows the roster, or asks anything.
    let _ = soon(oblivious.store.renew(oblivious.lease)).await;
    let _ = soon(oblivious.store.watch()).await;
    soon(told.changed()).await.unwrap();
    let mismatch = told.borrow_and_update().clone().expect("a mismatch");
    assert!(mismatch.seen.contains("fencing tokens were raised"), "{mismatch:?}");
}

pub(crate) async fn what_two_hosts_ask_for_holds_for_both(world: &mut World) {
    let (a, b) = (world.host("a").await, world.host("b").await);
    let before = a.win().await.fencing_token.0;
    join(raise(&a, before + 500), raise(&b, before + 2000)).await;
    let later = world.host("later").await;
    assert!(later.win().await.fencing_token.0 > before + 2000);
}
