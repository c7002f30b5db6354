//! Campaigns: how candidates queue, win, and leave the queue.

use std::time::Duration;

use futures::FutureExt;
use soloist_heart::Group;

use crate::world::{World, next, queue, soon};

pub(crate) async fn the_queue_is_first_come_first_served(world: &World) {
    let leader = world.host("a").await;
    let mut key = leader.win().await;
    let mut waiting = Vec::new();
    for name in ["d", "b", "c"] {
        let host = world.host(name).await;
        waiting.push((host.stand().await, host));
    }
    let roster = leader.roster(|roster| queue(roster).len() == 4).await;
    assert_eq!(queue(&roster), ["a", "d", "b", "c"]);
    assert!(roster.has(&key));
    assert_eq!(roster.leader(&Group::main()).unwrap().key, key);
    assert_eq!(roster.next_leader(&Group::main()).unwrap().candidate.host, "d");
    for (campaign, host) in waiting {
        soon(leader.store.resign(&key)).await.unwrap();
        let next = soon(campaign).await.unwrap().unwrap();
        assert!(next.fencing_token > key.fencing_token);
        assert_eq!(next.lease, host.lease);
        assert!(soon(host.store.verify(&next)).await.unwrap());
        key = next;
    }
}

pub(crate) async fn a_candidate_wins_when_the_leader_resigns(world: &World) {
    let (leader, next_leader) = (world.host("a").await, world.host("b").await);
    let key = leader.win().await;
    let campaign = next_leader.stand().await;
    assert!(!campaign.is_finished());
    soon(leader.store.resign(&key)).await.unwrap();
    assert!(soon(campaign).await.unwrap().unwrap().fencing_token > key.fencing_token);
}

pub(crate) async fn a_candidate_wins_when_the_leader_s_lease_is_revoked(world: &World) {
    let (leader, next_leader) = (world.host("a").await, world.host("b").await);
    leader.win().await;
    let campaign = next_leader.stand().await;
    soon(leader.store.revoke(leader.lease)).await.unwrap();
    let key = soon(campaign).await.unwrap().unwrap();
    assert!(soon(next_leader.store.verify(&key)).await.unwrap());
}

pub(crate) async fn a_candidate_wins_when_the_leader_s_lease_runs_out(world: &World) {
    let (leader, next_leader) = (world.host_with("a", world.short()).await, world.host("b").await);
    let lost = leader.win().await;
    let key = soon(next_leader.stand().await).await.unwrap().unwrap();
    assert!(soon(next_leader.store.verify(&key)).await.unwrap());
    assert!(!soon(leader.store.verify(&lost)).await.unwrap());
}

pub(crate) async fn a_dropped_campaign_is_withdrawn(world: &World) {
    let (leader, next_leader) = (world.host("a").await, world.host("b").await);
    let third = world.host("c").await;
    let key = leader.win().await;
    let campaign = next_leader.stand().await;
    let waiting = third.stand().await;
    campaign.abort();
    leader.roster(|roster| queue(roster) == ["a", "c"]).await;
    // A host that stands again is last.
    let again = next_leader.stand().await;
    leader.roster(|roster| queue(roster) == ["a", "c", "b"]).await;
    soon(leader.store.resign(&key)).await.unwrap();
    let won = soon(waiting).await.unwrap().unwrap();
    soon(third.store.resign(&won)).await.unwrap();
    assert!(soon(again).await.unwrap().unwrap().fencing_token > won.fencing_token);
}

pub(crate) async fn a_dropped_campaign_never_hits_the_next(world: &World) {
    let host = world.host("a").await;
    for patience in 0..20 {
        let first = host.campaign();
        // Dropped at every stage: before it is sent, under way, and won.
        let patience = Duration::from_micros(patience * patience * 50);
        drop(tokio::time::timeout(patience, first).await);
        let key = host.win().await;
        assert!(soon(host.store.verify(&key)).await.unwrap());
        soon(host.store.renew(host.lease)).await.unwrap();
        assert!(soon(host.store.verify(&key)).await.unwrap());
        soon(host.store.resign(&key)).await.unwrap();
    }
}

pub(crate) async fn a_campaign_dropped_at_once_leaves_nobody_behind(world: &World) {
    let (host, other) = (world.host("a").await, world.host("b").await);
    assert!(host.campaign().now_or_never().is_none());
    for patience in 0..10 {
        let campaign = tokio::time::timeout(Duration::from_micros(patience * 200), host.campaign());
        if let Ok(Ok(won)) = campaign.await {
            soon(host.store.resign(&won)).await.unwrap();
        }
        let key = other.win().await;
        soon(other.store.resign(&key)).await.unwrap();
    }
    host.roster(|roster| queue(roster).is_empty()).await;
}

pub(crate) async fn a_rehearsal_leaves_nothing_behind(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    let mut rosters = soon(host.store.watch()).await.unwrap();
    let before = next(&mut rosters, |roster| roster.has(&key)).await;
    for group in [Group::main(), Group::from("other")] {
        soon(host.store.rehearse(&group, host.lease)).await.unwrap();
    }
    assert!(soon(host.store.verify(&key)).await.unwrap());
    // The next revision belongs to the next change.
    let other = world.host("b").await;
    let waiting = other.stand().await;
    let after = next(&mut rosters, |roster| queue(roster).len() == 2).await;
    assert_eq!(after.groups.keys().collect::<Vec<_>>(), [&Group::main()]);
    let next_leader = after.next_leader(&Group::main()).unwrap();
    assert_eq!(next_leader.key.fencing_token.0, before.revision + 1, "a revision was used up");
    waiting.abort();
}

pub(crate) async fn whoever_leaves_and_stands_again_stands_last(world: &World) {
    let (leader, one, other) =
        (world.host("a").await, world.host("b").await, world.host("c").await);
    let key = leader.win().await;
    let campaign = one.stand().await;
    let waiting = other.stand().await;
    campaign.abort();
    let _ = campaign.await;
    let again = tokio::spawn({
        let one = one.clone();
        async move { one.campaign().await }
    });
    leader.roster(|roster| queue(roster) == ["a", "c", "b"]).await;
    soon(leader.store.resign(&key)).await.unwrap();
    let key = soon(waiting).await.unwrap().unwrap();
    assert!(!again.is_finished());
    soon(other.store.resign(&key)).await.unwrap();
    soon(again).await.unwrap().unwrap();
}
