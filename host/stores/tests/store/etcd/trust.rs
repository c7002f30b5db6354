//! Which etcd is trusted: members of other etcds are not, and the identity of a cluster is kept.

use std::time::Duration;

use futures::StreamExt;
use soloist_config::StoreUrl;
use soloist_stores::WriteGuard;

use super::{open, refusal, session, text};
use crate::{
    etcd_server::{EtcdServer, free_port},
    state::{TestState, put},
    world::{LONG, REQUEST_TIMEOUT, World, queue, soon},
};

#[tokio::test]
async fn a_member_of_another_etcd_is_not_believed() {
    let mut members = EtcdServer::three().await;
    let endpoints: Vec<_> = members.iter().map(EtcdServer::address).collect();
    let store = open(endpoints.clone(), None, REQUEST_TIMEOUT);
    let old = session(&store, "a").await;
    let key = old.win().await;
    members[0].start_as_another().await;
    // This member would answer that it knows no such lease and no such key. The others may have to
    // elect a leader first.
    let renewed = soon(async {
        loop {
            match old.store.renew(old.lease).await {
                Err(error) if error.is_transient() => {}
                answer => return answer,
            }
        }
    });
    renewed.await.unwrap();
    assert!(soon(old.store.verify(&key)).await.unwrap());
    let state = TestState(store.state().unwrap());
    soon(state.0.write(WriteGuard::Leader(&key), "a", &[put("k", "1")])).await.unwrap();
    // A new client contacts the wrong member first.
    for first in 0..3 {
        let mut endpoints = endpoints.clone();
        endpoints.rotate_left(first);
        let store = open(endpoints, None, REQUEST_TIMEOUT);
        soon(store.check()).await.unwrap();
        let new = session(&store, "b").await;
        let roster = new.roster(|_| true).await;
        assert_eq!(queue(&roster), ["a"], "from {first}");
    }
    let mut foreign = members[0].connect().await;
    let all = etcd_client::GetOptions::new().with_prefix();
    assert!(foreign.get("/soloist/", Some(all)).await.unwrap().kvs().is_empty());
}

#[tokio::test]
async fn a_foreign_member_that_alone_can_be_reached_is_not_believed() {
    let mut members = EtcdServer::three().await;
    let endpoints: Vec<_> = members.iter().map(EtcdServer::address).collect();
    members[0].start_as_another().await;
    for member in &mut members[1..] {
        member.kill().await;
    }
    let store = open(endpoints, None, Duration::from_millis(500));
    let told = text(&soon(store.check()).await.unwrap_err());
    assert!(told.contains("refused") || told.contains("only some of the members"), "{told}");
    let told = soon(store.grant(LONG)).await.unwrap_err();
    assert!(told.is_transient(), "{told}");
}

#[tokio::test]
async fn members_of_two_etcds_are_refused_in_either_order() {
    let (a, b) = (EtcdServer::start().await, EtcdServer::start().await);
    for endpoints in [[a.address(), b.address()], [b.address(), a.address()]] {
        let problem = refusal(soon(open(endpoints.into(), None, REQUEST_TIMEOUT).check()).await);
        assert!(problem.contains("members of different etcd clusters"), "{problem}");
        assert!(problem.contains(&a.address()) && problem.contains(&b.address()), "{problem}");
    }
    // If only one of them can be reached, it may be either.
    let dead = format!("127.0.0.1:{}", free_port());
    let store = open(vec![a.address(), dead], None, REQUEST_TIMEOUT);
    assert!(soon(store.check()).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn an_etcd_that_was_made_anew_is_not_believed() {
    let mut server = EtcdServer::start().await;
    let store = open(vec![server.address()], None, REQUEST_TIMEOUT);
    let host = session(&store, "a").await;
    let key = host.win().await;
    let mut rosters = soon(store.watch()).await.unwrap();
    soon(rosters.next()).await.unwrap().unwrap();
    server.start_as_another().await;
    assert!(soon(rosters.next()).await.unwrap().is_err());
    // The broken connection may only be noticed by the first call.
    let _ = soon(store.renew(host.lease)).await;
    let told = soon(store.renew(host.lease)).await.unwrap_err();
    assert!(text(&told).contains("is a member of another etcd"), "{told:?}");
    assert!(text(&told).contains("restart this host"), "{told:?}");
    assert!(soon(store.verify(&key)).await.unwrap_err().is_transient());
    assert!(soon(store.watch()).await.err().unwrap().is_transient());
    let state = TestState(store.state().unwrap());
    assert!(state.write("a", &[put("k", "1")]).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn an_identity_that_was_deleted_is_put_back() {
    let mut world = World::etcd().await;
    let host = world.host("a").await;
    let identity = world.identity().await;
    let StoreUrl::Etcd { endpoints, .. } = &world.url else { unreachable!() };
    let mut etcd = etcd_client::Client::connect(endpoints, None).await.unwrap();
    etcd.delete("/soloist/test/cluster", None).await.unwrap();
    // When the next connection is opened.
    let _ = world.back_up().await;
    while soon(host.store.renew(host.lease)).await.is_err() {}
    assert_eq!(world.identity().await, identity);
    assert_eq!(*host.store.mismatches().borrow(), None);
}

/// A host whose connections stay open has to notice it as well, and at once: a host that starts in
/// the meantime knows no identity, and would assign another one.
#[tokio::test]
async fn a_watch_puts_the_identity_back_and_tells_of_another() {
    let world = World::etcd().await;
    let host = world.host("a").await;
    let mut rosters = soon(host.store.watch()).await.unwrap();
    let identity = world.identity().await;
    let StoreUrl::Etcd { endpoints, .. } = &world.url else { unreachable!() };
    let mut etcd = etcd_client::Client::connect(endpoints, None).await.unwrap();
    etcd.delete("/soloist/test/cluster", None).await.unwrap();
    while etcd.get("/soloist/test/cluster", None).await.unwrap().kvs().is_empty() {
        soon(rosters.next()).await.unwrap().unwrap();
    }
    assert_eq!(world.identity().await, identity);
    assert_eq!(*host.store.mismatches().borrow(), None);
    etcd.put("/soloist/test/cluster", "another", None).await.unwrap();
    while soon(rosters.next()).await.unwrap().is_ok() {}
    let told = host.store.mismatches().borrow().clone().unwrap();
    assert!(told.seen.contains("another identity, another"), "{told:?}");
}
