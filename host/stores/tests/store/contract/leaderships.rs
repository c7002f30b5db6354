//! What a leader does with its key, and what a former leader cannot.

use soloist_heart::Group;
use soloist_stores::{Candidate, StoreError};

use crate::world::{World, soon};

pub(crate) async fn a_leadership_is_verified(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    assert!(soon(host.store.verify(&key)).await.unwrap());
    soon(host.store.resign(&key)).await.unwrap();
    assert!(!soon(host.store.verify(&key)).await.unwrap());

    let key = host.win().await;
    world.delete(&key).await;
    assert!(!soon(host.store.verify(&key)).await.unwrap());

    let key = host.win().await;
    let other = world.host("b").await;
    let campaign = other.stand().await;
    soon(host.store.revoke(host.lease)).await.unwrap();
    assert!(!soon(host.store.verify(&key)).await.unwrap());
    soon(campaign).await.unwrap().unwrap();
    assert!(!soon(host.store.verify(&key)).await.unwrap());
}

pub(crate) async fn a_proclamation_is_guarded(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    let proclaimed = Candidate { since: Some(7), ..host.candidate() };
    soon(host.store.proclaim(&key, &proclaimed)).await.unwrap();
    let said = |since| {
        move |roster: &soloist_stores::Roster| {
            roster.leader(&Group::main()).is_some_and(|leader| leader.candidate.since == since)
        }
    };
    let roster = host.roster(said(Some(7))).await;
    assert!(roster.has(&key));
    assert_eq!(roster.leader(&Group::main()).unwrap().key, key);
    soon(host.store.resign(&key)).await.unwrap();
    let late = soon(host.store.proclaim(&key, &proclaimed)).await;
    assert!(matches!(late, Err(StoreError::NotLeader)));
    // The same lease again, and therefore the same key name.
    let next = host.win().await;
    assert_eq!(next.key, key.key);
    let late = soon(host.store.proclaim(&key, &proclaimed)).await;
    assert!(matches!(late, Err(StoreError::NotLeader)));
    host.roster(said(None)).await;
}

pub(crate) async fn a_resignation_never_hits_a_successor(world: &World) {
    let host = world.host("a").await;
    let first = host.win().await;
    soon(host.store.resign(&first)).await.unwrap();
    soon(host.store.resign(&first)).await.unwrap();
    let second = host.win().await;
    soon(host.store.resign(&first)).await.unwrap();
    assert!(soon(host.store.verify(&second)).await.unwrap());
    soon(host.store.revoke(host.lease)).await.unwrap();
    soon(host.store.resign(&second)).await.unwrap();
}

pub(crate) async fn a_leader_that_stands_again_keeps_its_key(world: &World) {
    let (leader, next_leader) = (world.host("a").await, world.host("b").await);
    let key = leader.win().await;
    let campaign = next_leader.stand().await;
    assert_eq!(leader.win().await, key);
    assert!(!campaign.is_finished());
    assert!(soon(leader.store.verify(&key)).await.unwrap());
}
