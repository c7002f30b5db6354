//! Members of etcd that are dead, silent, frozen or restarted, and notifications that are lost.

use std::time::Duration;

use futures::StreamExt;
use soloist_heart::clock::BootTime;

use super::{open, session};
use crate::{
    etcd_server::{EtcdServer, free_port},
    proxy::LossyProxy,
    world::{REQUEST_TIMEOUT, next, queue, soon},
};

#[tokio::test]
async fn an_unreachable_etcd_is_told_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    for address in [format!("127.0.0.1:{}", free_port()), silent] {
        let store = open(vec![address.clone()], None, Duration::from_millis(300));
        let asked = BootTime::now();
        let error = soon(store.check()).await.unwrap_err();
        assert!(BootTime::now().since(asked) < Duration::from_secs(2));
        assert!(error.is_transient() && error.to_string().contains(&address), "{error}");
        assert!(soon(store.grant(Duration::from_secs(5))).await.unwrap_err().is_transient());
    }
}

#[tokio::test]
async fn a_dead_member_beside_a_live_one_does_no_harm() {
    let server = EtcdServer::start().await;
    let (dead, live) = (format!("127.0.0.1:{}", free_port()), server.address());
    // Under two names it is the majority of the listed members.
    let too = live.replace("127.0.0.1", "localhost");
    for endpoints in [vec![dead.clone(), live.clone(), too.clone()], vec![live, dead, too]] {
        let store = open(endpoints, None, REQUEST_TIMEOUT);
        for _ in 0..20 {
            soon(store.check()).await.unwrap();
        }
        assert!(soon(store.watch()).await.is_ok());
    }
}

#[tokio::test]
async fn a_silent_member_beside_a_live_one_costs_one_call() {
    let server = EtcdServer::start().await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_address = silent.local_addr().unwrap().to_string();
    let too = server.address().replace("127.0.0.1", "localhost");
    let endpoints = vec![silent_address, server.address(), too];
    let store = open(endpoints, None, Duration::from_millis(500));
    assert!(soon(store.check()).await.unwrap_err().is_transient());
    for _ in 0..20 {
        soon(store.check()).await.unwrap();
    }
}

#[tokio::test]
async fn a_restarted_etcd_is_found_again() {
    let mut server = EtcdServer::start().await;
    let store = open(vec![server.address()], None, REQUEST_TIMEOUT);
    let lease = soon(store.grant(Duration::from_secs(60))).await.unwrap().id;
    soon(store.renew(lease)).await.unwrap();
    let mut rosters = soon(store.watch()).await.unwrap();
    soon(rosters.next()).await.unwrap().unwrap();
    server.kill().await;
    assert!(soon(store.renew(lease)).await.unwrap_err().is_transient());
    assert!(soon(rosters.next()).await.unwrap().is_err());
    assert!(soon(rosters.next()).await.is_none());
    server.restart().await;
    // The broken connection may only be noticed by the first call.
    let mut failures = 0;
    while let Err(error) = soon(store.renew(lease)).await {
        failures += 1;
        assert!(error.is_transient() && failures < 3, "{error:?}");
    }
    assert!(soon(store.watch()).await.is_ok());
}

#[tokio::test]
async fn a_frozen_etcd_ends_no_candidacy_and_is_found_again() {
    let server = EtcdServer::start().await;
    let store = open(vec![server.address()], None, Duration::from_millis(500));
    let (leader, next_leader) = (session(&store, "a").await, session(&store, "b").await);
    let key = leader.win().await;
    let campaign = next_leader.stand().await;
    let last = session(&store, "c").await;
    let waiting = last.stand().await;
    let mut rosters = soon(store.watch()).await.unwrap();
    soon(rosters.next()).await.unwrap().unwrap();
    server.freeze();
    assert!(soon(store.renew(leader.lease)).await.unwrap_err().is_transient());
    assert!(soon(rosters.next()).await.unwrap().is_err());
    server.thaw();
    soon(store.renew(leader.lease)).await.unwrap();
    leader.roster(|roster| queue(roster) == ["a", "b", "c"]).await;
    // The waiting candidates are notified, in the same order as before.
    soon(store.resign(&key)).await.unwrap();
    let key = soon(campaign).await.unwrap().unwrap();
    assert!(soon(store.verify(&key)).await.unwrap());
    assert!(!waiting.is_finished());
}

/// The notification of a change is lost entirely, with no other sign of it.
#[tokio::test]
async fn a_wake_up_that_never_comes_costs_some_time_and_no_turn() {
    let server = EtcdServer::start().await;
    let proxy = LossyProxy::to(server.address()).await;
    let leader = session(&open(vec![server.address()], None, REQUEST_TIMEOUT), "a").await;
    let key = leader.win().await;
    let brief = Duration::from_millis(300);
    let next_leader = session(&open(vec![proxy.address.to_string()], None, brief), "b").await;
    let campaign = next_leader.stand().await;
    let mut rosters = soon(next_leader.store.watch()).await.unwrap();
    next(&mut rosters, |roster| queue(roster) == ["a", "b"]).await;
    let resigned = BootTime::now();
    proxy.lose_what_follows(async { soon(leader.store.resign(&key)).await.unwrap() }).await;
    let key = soon(campaign).await.unwrap().unwrap();
    let took = BootTime::now().since(resigned);
    assert!(took > brief * 10 && took < brief * 25, "after {took:?}: it was to look again");
    assert!(soon(next_leader.store.verify(&key)).await.unwrap());
    next(&mut rosters, |roster| queue(roster) == ["b"]).await;
    let took = BootTime::now().since(resigned);
    assert!(took < brief * 25, "the roster was stale for {took:?}");
}
