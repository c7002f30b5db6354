//! Entries that others have written or deleted, and entries that are too many or too large.

use etcd_client::PutOptions;
use futures::StreamExt;
use soloist_config::StoreUrl;
use soloist_heart::Group;
use soloist_stores::{Member, StoreError};

use super::{open, session};
use crate::{
    etcd_server::EtcdServer,
    world::{REQUEST_TIMEOUT, World, queue, soon},
};

#[tokio::test]
async fn a_candidate_learns_that_it_was_removed() {
    let world = World::etcd().await;
    let (leader, next_leader) = (world.host("a").await, world.host("b").await);
    leader.win().await;
    let campaign = next_leader.stand().await;
    let roster = leader.roster(|roster| queue(roster) == ["a", "b"]).await;
    let standing = roster.groups.values().flatten().nth(1).unwrap();
    world.delete(&standing.key).await;
    assert!(soon(campaign).await.unwrap().unwrap_err().is_transient());
}

#[tokio::test]
async fn what_others_wrote_is_left_out() {
    let world = World::etcd().await;
    let host = world.host("a").await;
    soon(host.store.join(host.lease, &host.member())).await.unwrap();
    let StoreUrl::Etcd { endpoints, .. } = &world.url else { unreachable!() };
    let mut etcd = etcd_client::Client::connect(endpoints, None).await.unwrap();
    for key in ["members/b", "election/main/1", "election/a/b/1", "else", "members/\u{fffd}"] {
        let options = PutOptions::new().with_lease(host.lease.0);
        etcd.put(format!("/soloist/test/{key}"), "no JSON", Some(options)).await.unwrap();
    }
    let mut rosters = soon(host.store.watch()).await.unwrap();
    let roster = soon(rosters.next()).await.unwrap().unwrap();
    assert_eq!((roster.members.len(), roster.groups.len()), (1, 0));
    // Except in a queue, where they keep the hosts behind them from leading.
    let strangers = |group| roster.foreign_candidates(&Group::from(group)).to_vec();
    let [main] = &strangers("main")[..] else { panic!("{roster:?}") };
    assert_eq!((&*main.key, main.lease), ("/soloist/test/election/main/1", Some(host.lease)));
    let at = endpoints.join(",");
    let remove = format!("etcdctl --endpoints={at} del /soloist/test/election/main/1");
    assert_eq!(&*main.remove, remove);
    assert_eq!(strangers("a").len(), 1);
    let campaign = host.stand().await;
    let remove = async {
        etcd.delete("/soloist/test/election/main/1", None).await.unwrap();
    };
    assert!(!campaign.is_finished());
    remove.await;
    let key = soon(campaign).await.unwrap().unwrap();
    assert!(soon(host.store.verify(&key)).await.unwrap());
}

#[tokio::test]
async fn a_cluster_that_is_larger_than_an_answer_is_seen_whole() {
    let server = EtcdServer::start().await;
    let host = session(&open(vec![server.address()], None, REQUEST_TIMEOUT), "a").await;
    let mut etcd = server.connect().await;
    let labels = [("what".to_owned(), "x".repeat(8 << 10))];
    for number in 0..1200 {
        let name = format!("host-{number:04}");
        let member = Member { name: name.clone(), labels: labels.clone().into(), ..host.member() };
        let (value, lease) = (serde_json::to_vec(&member).unwrap(), host.lease.0);
        let options = PutOptions::new().with_lease(lease);
        etcd.put(format!("/soloist/test/members/{name}"), value, Some(options)).await.unwrap();
    }
    let roster = host.roster(|roster| roster.members.len() == 1200).await;
    let names = roster.members.iter().map(|(_, member)| &member.name);
    assert!(names.is_sorted() && roster.revision > 1200, "all pages are of one revision");
}

/// Requests that are too large for etcd, whichever of its layers refuses them.
#[tokio::test]
async fn a_member_that_is_larger_than_a_request_is_told_what_to_do() {
    let world = World::etcd().await;
    let host = world.host("a").await;
    for count in [28_000_u32, 400_000] {
        let tasks = (0..count).map(|n| format!("{n:060}").into()).collect();
        let member = Member { tasks, ..host.member() };
        match soon(host.store.join(host.lease, &member)).await {
            Err(StoreError::Refused { problem, .. }) => {
                assert!(problem.contains("--max-request-bytes"), "{problem}");
            }
            other => panic!("{other:?}"),
        }
    }
    soon(host.store.join(host.lease, &host.member())).await.unwrap();
}
