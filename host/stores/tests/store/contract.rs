//! The properties that every store must have.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use soloist_heart::{Group, LeaseId, clock::BootTime};
use soloist_stores::{
    Candidate, Drain, Member, Note, NoteTopic, Notes, OperatorOrder, Pause, ProcessLocation,
    Removal, Roster, StoreError,
};

use crate::world::{LONG, TestHost, World, next, queue, soon};

pub(crate) async fn a_renewed_lease_lives_and_an_unrenewed_one_ends(world: &World) {
    let ttl = world.short();
    let host = world.host_with("a", ttl).await;
    soon(host.store.join(host.lease, &host.member())).await.unwrap();
    let until = BootTime::now() + ttl * 2;
    let mut renewals = tokio::time::interval(ttl / 4);
    while BootTime::now() < until {
        renewals.tick().await;
        assert_eq!(soon(host.store.renew(host.lease)).await.unwrap(), ttl);
    }
    host.roster(|roster| roster.members.len() == 1).await;
    let renewed = BootTime::now();
    world.host("b").await.roster(|roster| roster.members.is_empty()).await;
    assert!(BootTime::now().since(renewed) > ttl / 2, "the lease ended early");
    assert!(matches!(soon(host.store.renew(host.lease)).await, Err(StoreError::LeaseGone)));
}

pub(crate) async fn a_revoked_lease_is_gone(world: &World) {
    let host = world.host("a").await;
    soon(host.store.revoke(host.lease)).await.unwrap();
    soon(host.store.revoke(host.lease)).await.unwrap();
    assert!(matches!(soon(host.store.renew(host.lease)).await, Err(StoreError::LeaseGone)));
    assert!(matches!(soon(host.campaign()).await, Err(StoreError::LeaseGone)));
    let joined = soon(host.store.join(host.lease, &host.member())).await;
    assert!(matches!(joined, Err(StoreError::LeaseGone)));
    let unknown = soon(host.store.renew(LeaseId(4711))).await;
    assert!(matches!(unknown, Err(StoreError::LeaseGone)));
}

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
    assert_eq!(roster.heir(&Group::main()).unwrap().candidate.host, "d");
    for (campaign, host) in waiting {
        soon(leader.store.resign(&key)).await.unwrap();
        let next = soon(campaign).await.unwrap().unwrap();
        assert!(next.token > key.token);
        assert_eq!(next.lease, host.lease);
        assert!(soon(host.store.verify(&next)).await.unwrap());
        key = next;
    }
}

pub(crate) async fn a_candidate_wins_when_the_leader_resigns(world: &World) {
    let (leader, heir) = (world.host("a").await, world.host("b").await);
    let key = leader.win().await;
    let campaign = heir.stand().await;
    assert!(!campaign.is_finished());
    soon(leader.store.resign(&key)).await.unwrap();
    assert!(soon(campaign).await.unwrap().unwrap().token > key.token);
}

pub(crate) async fn a_candidate_wins_when_the_leader_s_lease_is_revoked(world: &World) {
    let (leader, heir) = (world.host("a").await, world.host("b").await);
    leader.win().await;
    let campaign = heir.stand().await;
    soon(leader.store.revoke(leader.lease)).await.unwrap();
    let key = soon(campaign).await.unwrap().unwrap();
    assert!(soon(heir.store.verify(&key)).await.unwrap());
}

pub(crate) async fn a_candidate_wins_when_the_leader_s_lease_runs_out(world: &World) {
    let (leader, heir) = (world.host_with("a", world.short()).await, world.host("b").await);
    let lost = leader.win().await;
    let key = soon(heir.stand().await).await.unwrap().unwrap();
    assert!(soon(heir.store.verify(&key)).await.unwrap());
    assert!(!soon(leader.store.verify(&lost)).await.unwrap());
}

pub(crate) async fn a_dropped_campaign_is_withdrawn(world: &World) {
    let (leader, heir) = (world.host("a").await, world.host("b").await);
    let third = world.host("c").await;
    let key = leader.win().await;
    let campaign = heir.stand().await;
    let waiting = third.stand().await;
    campaign.abort();
    leader.roster(|roster| queue(roster) == ["a", "c"]).await;
    // A host that stands again is last.
    let again = heir.stand().await;
    leader.roster(|roster| queue(roster) == ["a", "c", "b"]).await;
    soon(leader.store.resign(&key)).await.unwrap();
    let won = soon(waiting).await.unwrap().unwrap();
    soon(third.store.resign(&won)).await.unwrap();
    assert!(soon(again).await.unwrap().unwrap().token > won.token);
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
    let (leader, heir) = (world.host("a").await, world.host("b").await);
    let key = leader.win().await;
    let campaign = heir.stand().await;
    assert_eq!(leader.win().await, key);
    assert!(!campaign.is_finished());
    assert!(soon(leader.store.verify(&key)).await.unwrap());
}

pub(crate) async fn members_come_and_go(world: &World) {
    let (one, other) = (world.host("a").await, world.host("b").await);
    let mut rosters = soon(other.store.watch()).await.unwrap();
    next(&mut rosters, |roster| roster.members.is_empty()).await;
    soon(other.store.join(other.lease, &other.member())).await.unwrap();
    soon(one.store.join(one.lease, &one.member())).await.unwrap();
    let roster = next(&mut rosters, |roster| roster.members.len() == 2).await;
    assert_eq!(members(&roster), [(one.lease, one.member()), (other.lease, other.member())]);
    soon(one.store.revoke(one.lease)).await.unwrap();
    let roster = next(&mut rosters, |roster| roster.members.len() == 1).await;
    assert_eq!(members(&roster), [(other.lease, other.member())]);
}

pub(crate) async fn a_name_is_one_session_s(world: &World) {
    let (one, other) = (world.host("a").await, world.host("a").await);
    let named = Member { url: "http://elsewhere".into(), ..other.member() };
    soon(one.store.join(one.lease, &one.member())).await.unwrap();
    match soon(other.store.join(other.lease, &named)).await {
        Err(StoreError::NameTaken { name, url, lease }) => {
            assert_eq!((&*name, &*url, lease), ("a", "http://a", one.lease));
        }
        joined => panic!("{joined:?}"),
    }
    // The same address does not make it the same host if it is on another machine.
    let there = Member { machine: "n".into(), process: ProcessLocation::own(), ..other.member() };
    let taken = soon(other.store.join(other.lease, &there)).await;
    assert!(matches!(taken, Err(StoreError::NameTaken { .. })), "{taken:?}");
    // The owner of an entry may change it.
    let says = Member { priority: 7, ..one.member() };
    soon(one.store.join(one.lease, &says)).await.unwrap();
    let roster = one.roster(|roster| !roster.members.is_empty()).await;
    assert_eq!(members(&roster), [(one.lease, says)]);
    soon(one.store.revoke(one.lease)).await.unwrap();
    soon(other.store.join(other.lease, &named)).await.unwrap();
    let roster = other.roster(|roster| !roster.members.is_empty()).await;
    assert_eq!(members(&roster), [(other.lease, named)]);
}

pub(crate) async fn a_host_that_comes_back_has_its_name(world: &World) {
    let (former, host) = (world.host("a").await, world.host("a").await);
    let own = ProcessLocation::own();
    // The process id was reused by this process.
    let dead = ProcessLocation { began: own.began - 1, ..own.clone() };
    let was = Member { process: dead, ..former.member() };
    soon(former.store.join(former.lease, &was)).await.unwrap();
    let is = Member { process: own, url: "http://a:2".into(), ..host.member() };
    soon(host.store.join(host.lease, &is)).await.unwrap();
    let roster = host.roster(|roster| !roster.members.is_empty()).await;
    assert_eq!(members(&roster), [(host.lease, is)]);
    // It keeps the name.
    let taken = soon(former.store.join(former.lease, &was)).await;
    assert!(matches!(taken, Err(StoreError::NameTaken { .. })), "{taken:?}");
}

pub(crate) async fn an_earlier_session_of_the_same_host_gives_way(world: &World) {
    let (before, now) = (world.host("a").await, world.host("a").await);
    let says = Member { process: ProcessLocation::own(), ..before.member() };
    soon(before.store.join(before.lease, &says)).await.unwrap();
    // Another host of the same name, even in the same process, has another start time.
    let other = Member { joined: says.joined + 1, ..says.clone() };
    let taken = soon(now.store.join(now.lease, &other)).await;
    assert!(matches!(taken, Err(StoreError::NameTaken { .. })), "{taken:?}");
    soon(now.store.join(now.lease, &says)).await.unwrap();
    let roster = now.roster(|roster| !roster.members.is_empty()).await;
    assert_eq!(members(&roster), [(now.lease, says)]);
}

pub(crate) async fn a_removed_host_does_not_join(world: &World) {
    let (host, other) = (world.host("a").await, world.host("b").await);
    let former = host.lease;
    soon(host.store.join(former, &host.member())).await.unwrap();
    let order = OperatorOrder { by: "ada".into(), reason: "new disks".into(), since: 7 };
    let removal = Removal { order };
    let topic = NoteTopic::Removal("a".into());
    soon(other.store.write_note(&topic, &Note::Removal(removal.clone()))).await.unwrap();
    let roster = other.roster(|roster| !roster.notes.removed.is_empty()).await;
    assert_eq!(roster.notes.removed.get("a"), Some(&removal));
    assert!(roster.notes.keeps_out("a") && !roster.notes.keeps_out("b"));
    // With the session by which it has joined, or with another one, even after its entry is gone.
    let again = world.host("a").await;
    for (host, alone) in [(&host, false), (&again, false), (&again, true)] {
        if alone {
            soon(other.store.revoke(former)).await.unwrap();
        }
        match soon(host.store.join(host.lease, &host.member())).await {
            Err(error @ StoreError::Removed { .. }) => {
                let text = error.to_string();
                assert!(text.contains("removed by ada: new disks"), "{text}");
                assert!(text.contains("soloist admit a"), "{text}");
            }
            joined => panic!("{joined:?}"),
        }
    }
    soon(other.store.join(other.lease, &other.member())).await.unwrap();
    assert!(soon(other.store.erase_note(&topic)).await.unwrap());
    soon(again.store.join(again.lease, &again.member())).await.unwrap();
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
    let heir = after.heir(&Group::main()).unwrap();
    assert_eq!(heir.key.token.0, before.revision + 1, "a revision was used up");
    waiting.abort();
}

fn members(roster: &Roster) -> Vec<(LeaseId, Member)> {
    roster.members.iter().map(|(lease, member)| (*lease, Member::clone(member))).collect()
}

pub(crate) async fn notes_stand_until_they_are_erased(world: &World) {
    let (one, other) = (world.host("a").await, world.host("b").await);
    let order = || OperatorOrder { by: "ada".into(), reason: "new disks".into(), since: 7 };
    let pause = |freeze| Note::Pause(Pause { order: order(), freeze });
    let drain = Drain { order: order() };
    let group = NoteTopic::Pause(Some(Group::main()));
    soon(one.store.write_note(&group, &pause(false))).await.unwrap();
    soon(one.store.write_note(&group, &pause(true))).await.unwrap();
    let drained = NoteTopic::Drain("a".into());
    soon(one.store.write_note(&drained, &Note::Drain(drain.clone()))).await.unwrap();
    // Notes outlast the session of their author.
    soon(one.store.revoke(one.lease)).await.unwrap();
    let roster = other.roster(|roster| !roster.notes.drained.is_empty()).await;
    assert_eq!(
        roster.notes.pause_of(&Group::main()),
        Some(&Pause { order: order(), freeze: true })
    );
    assert_eq!(roster.notes.pause_of(&Group::from("other")), None);
    assert_eq!(roster.notes.drained.get("a"), Some(&drain));
    let mut rosters = soon(other.store.watch()).await.unwrap();
    for topic in [&group, &drained] {
        assert!(soon(other.store.erase_note(topic)).await.unwrap());
        assert!(!soon(other.store.erase_note(topic)).await.unwrap());
    }
    next(&mut rosters, |roster| *roster.notes == Notes::default()).await;
    let outside = NoteTopic::Drain("a/b".into());
    assert!(!soon(one.store.erase_note(&outside)).await.unwrap_err().is_transient());
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

/// The state that a watch has built from single changes equals a fresh read.
pub(crate) async fn a_watch_shows_what_a_fresh_look_does(world: &World) {
    let watcher = world.host("watcher").await;
    let mut rosters = soon(watcher.store.watch()).await.unwrap();
    let mut campaigns = Vec::new();
    for name in ["a", "b", "c"] {
        let host = world.host(name).await;
        soon(host.store.join(host.lease, &host.member())).await.unwrap();
        campaigns.push((host.stand().await, host));
    }
    let known = NoteTopic::Pause(None);
    let order = OperatorOrder { by: "ada".into(), reason: String::new(), since: 7 };
    let note = Note::Pause(Pause { order, freeze: false });
    soon(watcher.store.write_note(&known, &note)).await.unwrap();
    let (gone, left) = (campaigns.remove(1), campaigns);
    soon(gone.1.store.revoke(gone.1.lease)).await.unwrap();
    let key = soon(left[0].1.campaign()).await.unwrap();
    let said = Candidate { since: Some(7), ..left[0].1.candidate() };
    soon(watcher.store.proclaim(&key, &said)).await.unwrap();
    let settled = |roster: &Roster| {
        queue(roster) == ["a", "c"]
            && roster.members.len() == 2
            && roster.leader(&Group::main()).is_some_and(|it| it.candidate.since == Some(7))
    };
    let watched = next(&mut rosters, settled).await;
    let fresh = watcher.roster(settled).await;
    assert_eq!(
        (watched.groups, watched.members, watched.notes),
        (fresh.groups, fresh.members, fresh.notes)
    );
    left.iter().for_each(|(campaign, _)| campaign.abort());
}

pub(crate) async fn a_watch_begins_with_the_present(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    let mut rosters = soon(world.open().watch()).await.unwrap();
    let first = soon(rosters.next()).await.unwrap().unwrap();
    assert_eq!(queue(&first), ["a"]);
    assert!(first.revision >= key.token.0);
    soon(host.store.resign(&key)).await.unwrap();
    let later = next(&mut rosters, |roster| queue(roster).is_empty()).await;
    assert!(later.revision > first.revision);
}

pub(crate) async fn groups_and_clusters_are_apart(world: &World) {
    let host = world.host("a").await;
    let main = host.win().await;
    let other = Group::from("mainly");
    let candidate = host.candidate();
    let key = soon(host.store.campaign(&other, host.lease, &candidate)).await.unwrap();
    assert!(key.token > main.token);
    let store = world.open_cluster("testing");
    let lease = soon(store.grant(LONG)).await.unwrap().id;
    let elsewhere = TestHost { store, lease, name: "a".into() };
    let leading = elsewhere.win().await;
    assert!(soon(elsewhere.store.verify(&leading)).await.unwrap());
    assert!(soon(host.store.verify(&main)).await.unwrap());
    let roster = host.roster(|roster| roster.groups.len() == 2).await;
    assert_eq!(roster.groups[&other].len(), 1);
    assert_eq!(queue(&roster).len(), 1);
}
