//! The state of actions while members of etcd fail.

use std::time::Duration;

use soloist_stores::{StateWrite, StoreError};

use super::open;
use crate::{
    etcd_server::{EtcdServer, free_port},
    proxy::LossyProxy,
    state::{TestState, put},
    world::{REQUEST_TIMEOUT, soon},
};

#[tokio::test]
async fn a_write_of_state_whose_answer_is_lost_is_not_sent_again() {
    let server = EtcdServer::start().await;
    let mut etcd = server.connect().await;
    for by_version in [false, true] {
        let proxy = LossyProxy::to(server.address()).await;
        let endpoints = vec![proxy.address.to_string(), server.address()];
        let state = TestState(open(endpoints, None, REQUEST_TIMEOUT).state().unwrap());
        state.write("a", &[put("k", "before")]).await.unwrap();
        let version = state.version("a", "k").await;
        let before = writes_to_k(&mut etcd).await;
        proxy.lose_answers();
        let write = StateWrite { only_if: by_version.then_some(version), ..put("k", "after") };
        let breaking = async {
            while writes_to_k(&mut etcd).await == before {}
            proxy.break_down().await;
        };
        let writes = [write];
        let (answer, ()) = soon(async { tokio::join!(state.write("a", &writes), breaking) }).await;
        // It is neither made twice nor reported as a conflict: nobody knows whether it was made.
        assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
        assert_eq!(writes_to_k(&mut etcd).await, before + 1);
        // The next write goes to the other member.
        state.write("a", &[put("k", "later")]).await.unwrap();
    }
}

/// How often the key `k` of the action `a` was written since it was created.
async fn writes_to_k(etcd: &mut etcd_client::Client) -> i64 {
    let found = etcd.get("/soloist/test/state/a/k", None).await.unwrap();
    found.kvs().first().map_or(0, etcd_client::KeyValue::version)
}

#[tokio::test]
async fn a_write_of_state_passes_by_a_member_that_is_dead() {
    let server = EtcdServer::start().await;
    let dead = format!("127.0.0.1:{}", free_port());
    let too = server.address().replace("127.0.0.1", "localhost");
    let endpoints = vec![dead, server.address(), too];
    let state = TestState(open(endpoints, None, REQUEST_TIMEOUT).state().unwrap());
    state.write("a", &[put("k", "1")]).await.unwrap();
    assert_eq!(state.value("a", "k").await.unwrap(), "1");
}

#[tokio::test]
async fn state_needs_no_answer_from_a_frozen_etcd_and_goes_on_after_it() {
    let server = EtcdServer::start().await;
    let store = open(vec![server.address()], None, Duration::from_millis(500));
    let state = TestState(store.state().unwrap());
    state.write("a", &[put("k", "1")]).await.unwrap();
    server.freeze();
    assert!(state.write("a", &[put("k", "2")]).await.unwrap_err().is_transient());
    assert!(soon(state.0.get("a", &["k".into()])).await.unwrap_err().is_transient());
    server.thaw();
    state.write("a", &[put("k", "3")]).await.unwrap();
}

#[tokio::test]
async fn state_is_still_there_when_etcd_was_killed() {
    let mut server = EtcdServer::start().await;
    let state = TestState(open(vec![server.address()], None, REQUEST_TIMEOUT).state().unwrap());
    state.write("a", &[put("k", "1")]).await.unwrap();
    let version = state.version("a", "k").await;
    server.kill().await;
    assert!(state.write("a", &[put("k", "2")]).await.unwrap_err().is_transient());
    server.restart().await;
    let state = TestState(open(vec![server.address()], None, REQUEST_TIMEOUT).state().unwrap());
    assert_eq!(
        (state.version("a", "k").await, state.value("a", "k").await.unwrap()),
        (version, "1".into())
    );
}
