//! What the roster shows: notes, groups, and changes as they happen.

use futures::StreamExt;
use soloist_heart::Group;
use soloist_stores::{Candidate, Drain, Note, NoteTopic, Notes, OperatorOrder, Pause, Roster};

use crate::world::{LONG, TestHost, World, next, queue, soon};

pub(crate) async fn notes_stand_until_they_are_erased(world: &World) {
    let (one, other) = (world.host("a").await, world.host("b").await);
    let order = || OperatorOrder { by: "ada".into(), reason: "new disks".into(), since: 7 };
    let pause = |keep_failover| Note::Pause(Pause { order: order(), keep_failover });
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
        Some(&Pause { order: order(), keep_failover: true })
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
    let note = Note::Pause(Pause { order, keep_failover: false });
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
    assert!(first.is_after(key.fencing_token));
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
    assert!(key.fencing_token > main.fencing_token);
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
