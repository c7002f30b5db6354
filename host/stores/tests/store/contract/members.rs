//! The members of a cluster, each under the name of one session.

use soloist_heart::LeaseId;
use soloist_stores::{
    Member, Note, NoteTopic, OperatorOrder, ProcessLocation, Removal, Roster, StoreError,
};

use crate::world::{World, next, soon};

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
    let (process, instance) = (ProcessLocation::own(), "1f".to_owned());
    let says = Member { process, instance, ..before.member() };
    soon(before.store.join(before.lease, &says)).await.unwrap();
    // Another host of the same name, even in the same process, has another random number.
    let other = Member { instance: "2f".to_owned(), ..says.clone() };
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

fn members(roster: &Roster) -> Vec<(LeaseId, Member)> {
    roster.members.iter().map(|(lease, member)| (*lease, Member::clone(member))).collect()
}
