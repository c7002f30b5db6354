//! Logging in to etcd, and the permissions that a user needs.

use std::time::Duration;

use etcd_client::{Permission, PermissionType};
use futures::StreamExt;
use soloist_stores::WriteGuard;
use tokio::time::{sleep, timeout};

use super::{open, refusal};
use crate::{
    etcd_server::EtcdServer,
    state::{TestState, put},
    world::{LONG, REQUEST_TIMEOUT, TestHost, soon},
};

#[tokio::test]
async fn a_login_is_needed_right_and_permitted() {
    let server = EtcdServer::start().await;
    let root = open(vec![server.address()], Some(("root", "secret")), REQUEST_TIMEOUT);
    assert!(refusal(soon(root.check()).await).contains("turned off"));
    turn_authentication_on(&server).await;

    soon(root.check()).await.unwrap();
    let none = open(vec![server.address()], None, REQUEST_TIMEOUT);
    assert!(refusal(soon(none.check()).await).contains("asks for a login"));
    let wrong = open(vec![server.address()], Some(("root", "guess")), REQUEST_TIMEOUT);
    assert!(refusal(soon(wrong.check()).await).contains("etcdctl user passwd root"));
    let unprivileged =
        open(vec![server.address()], Some(("unprivileged", "secret")), REQUEST_TIMEOUT);
    let problem = refusal(soon(unprivileged.check()).await);
    assert!(problem.contains("--prefix /soloist/test/"), "{problem}");
}

#[tokio::test]
async fn the_permission_that_is_asked_for_suffices() {
    let server = EtcdServer::start().await;
    turn_authentication_on(&server).await;
    let store = open(vec![server.address()], Some(("soloist", "secret")), REQUEST_TIMEOUT);
    soon(store.check()).await.unwrap();
    let lease = soon(store.grant(Duration::from_secs(60))).await.unwrap().id;
    soon(store.renew(lease)).await.unwrap();
    let host = TestHost { store: store.clone(), lease, name: "a".into() };
    soon(store.join(lease, &host.member())).await.unwrap();
    let key = host.win().await;
    assert!(soon(store.verify(&key)).await.unwrap());
    soon(store.proclaim(&key, &host.candidate())).await.unwrap();
    let state = TestState(store.state().unwrap());
    soon(state.0.write(WriteGuard::Leader(&key), "a", &[put("k", "1")])).await.unwrap();
    assert_eq!(state.list("a").await, ["k"]);
    assert_eq!(state.value("a", "k").await.unwrap(), "1");
    let mut rosters = soon(store.watch()).await.unwrap();
    assert_eq!(soon(rosters.next()).await.unwrap().unwrap().members.len(), 1);
    soon(store.resign(&key)).await.unwrap();
    assert!(soon(rosters.next()).await.unwrap().unwrap().groups.is_empty());
    soon(store.revoke(lease)).await.unwrap();
}

/// etcd hashes passwords to the end even for hosts that no longer wait: a login that was begun again
/// each time would never be answered.
#[tokio::test]
async fn a_login_is_waited_for_however_long_it_takes() {
    // About a second on an idle machine.
    let server = EtcdServer::start_with(vec!["--bcrypt-cost=14".to_owned()]).await;
    let mut etcd = server.connect().await;
    etcd.user_add("root", "secret", None).await.unwrap();
    etcd.role_add("root").await.unwrap();
    etcd.user_grant_role("root", "root").await.unwrap();
    etcd.auth_enable().await.unwrap();
    let call = Duration::from_millis(10);
    let store = open(vec![server.address()], Some(("root", "secret")), call);
    let let_in = async {
        while store.check().await.is_err() {
            sleep(call).await;
        }
    };
    timeout(LONG / 2, let_in).await.expect("the first login is answered in seconds");
}

/// The users `root`, `soloist` with the permission that refusals ask for, and `unprivileged` with none.
async fn turn_authentication_on(server: &EtcdServer) {
    let mut etcd = server.connect().await;
    for user in ["root", "soloist", "unprivileged"] {
        etcd.user_add(user, "secret", None).await.unwrap();
        etcd.role_add(user).await.unwrap();
        etcd.user_grant_role(user, user).await.unwrap();
    }
    let own = Permission::new(PermissionType::Readwrite, "/soloist/test/").with_prefix();
    etcd.role_grant_permission("soloist", own).await.unwrap();
    etcd.auth_enable().await.unwrap();
}
