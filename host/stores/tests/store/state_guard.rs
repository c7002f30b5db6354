//! Who may write state.
//!
//! Fencing depends on this: if one of these tests failed, a leader that was replaced could
//! overwrite what its successor wrote.

use std::sync::Arc;

use soloist_heart::LeaderKey;
use soloist_stores::{StateStore, StateWrite, StoreError, WriteGuard};

use crate::{
    state::{TestState, delete, only_if, put},
    world::{World, soon},
};

/// Tries every kind of write under `key`, which is outdated.
async fn refused(world: &World, state: &Arc<dyn StateStore>, key: &LeaderKey) {
    let person = TestState::of(world);
    person.write("a", &[put("old", "kept"), put("other", "kept")]).await.unwrap();
    let version = person.version("a", "old").await;
    let tries: [&[StateWrite]; 9] = [
        &[put("old", "late")],
        &[put("new", "late")],
        &[delete("old")],
        &[delete("none")],
        &[only_if(version, put("old", "late"))],
        &[only_if(0, put("new", "late"))],
        &[put("old", "late"), put("new", "late"), delete("other")],
        // There are two reasons to refuse this; the lost leadership is the one to report.
        &[only_if(version + 1, put("old", "late"))],
        &[only_if(0, put("old", "late"))],
    ];
    for writes in tries {
        let late = soon(state.write(WriteGuard::Leader(key), "a", writes)).await;
        assert!(matches!(late, Err(StoreError::NotLeader)), "{writes:?}: {late:?}");
    }
    assert_eq!(person.list("a").await, ["old", "other"]);
    assert_eq!(person.value("a", "other").await.unwrap(), "kept");
    assert_eq!(person.version("a", "old").await, version);
}

async fn accepted(state: &Arc<dyn StateStore>, key: &LeaderKey) {
    for writes in [[put("k", "1")], [put("k", "2")], [delete("k")]] {
        soon(state.write(WriteGuard::Leader(key), "a", &writes)).await.unwrap();
    }
}

pub(crate) async fn a_leader_writes(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    accepted(&host.store.state().unwrap(), &key).await;
    // The guard is the key, not the host: any connection may use it.
    accepted(&world.open().state().unwrap(), &key).await;
    // Neither a proclamation nor a renewal changes the key's create revision.
    soon(host.store.proclaim(&key, &host.candidate())).await.unwrap();
    soon(host.store.renew(host.lease)).await.unwrap();
    accepted(&host.store.state().unwrap(), &key).await;
}

pub(crate) async fn a_leader_that_resigned_writes_nothing(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    let state = host.store.state().unwrap();
    accepted(&state, &key).await;
    soon(host.store.resign(&key)).await.unwrap();
    refused(world, &state, &key).await;
}

pub(crate) async fn a_leader_whose_lease_was_revoked_writes_nothing(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    let state = host.store.state().unwrap();
    accepted(&state, &key).await;
    soon(host.store.revoke(host.lease)).await.unwrap();
    refused(world, &state, &key).await;
}

pub(crate) async fn a_leader_whose_lease_ran_out_writes_nothing(world: &World) {
    let (host, next_leader) = (world.host_with("a", world.short()).await, world.host("b").await);
    let key = host.win().await;
    let state = host.store.state().unwrap();
    accepted(&state, &key).await;
    let next = soon(next_leader.stand().await).await.unwrap().unwrap();
    refused(world, &state, &key).await;
    accepted(&next_leader.store.state().unwrap(), &next).await;
}

pub(crate) async fn a_leader_whose_key_was_deleted_writes_nothing(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    let state = host.store.state().unwrap();
    accepted(&state, &key).await;
    world.delete(&key).await;
    refused(world, &state, &key).await;
}

pub(crate) async fn a_leader_of_an_earlier_term_writes_nothing(world: &World) {
    let host = world.host("a").await;
    let first = host.win().await;
    let state = host.store.state().unwrap();
    soon(host.store.resign(&first)).await.unwrap();
    // The same lease again, and therefore the same key name; only the fencing token differs.
    let second = host.win().await;
    assert_eq!(first.key, second.key);
    refused(world, &state, &first).await;
    accepted(&state, &second).await;
}

pub(crate) async fn a_person_needs_no_leadership(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    let state = host.store.state().unwrap();
    soon(state.write(WriteGuard::Leader(&key), "a", &[put("k", "the leader's")])).await.unwrap();
    let person = TestState::of(world);
    person.write("a", &[put("k", "a person's")]).await.unwrap();
    assert_eq!(TestState(state).value("a", "k").await.unwrap(), "a person's");
}
