//! What the etcd store promises besides.

use std::{sync::Arc, time::Duration};

use etcd_client::{Permission, PermissionType, PutOptions};
use futures::StreamExt;
use soloist::{
    clock::BootTime,
    config::StoreUrl,
    store::{self, Guard, Store, StoreError, Write},
};

use crate::{
    etcd_server::{Etcd, free_port},
    proxy::Proxy,
    state::{Desk, put},
    world::{Host, LONG, REQUEST_TIMEOUT, World, queue, soon},
};

fn open(endpoints: Vec<String>, login: Option<(&str, &str)>, timeout: Duration) -> Arc<dyn Store> {
    let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
    store::open(&StoreUrl::Etcd { endpoints, login, tls: None }, "test", timeout).unwrap()
}

fn refusal(answer: Result<(), StoreError>) -> String {
    match answer {
        Err(StoreError::Refused { problem, .. }) => problem,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_login_is_needed_right_and_permitted() {
    let server = Etcd::start().await;
    let root = open(vec![server.address()], Some(("root", "secret")), REQUEST_TIMEOUT);
    assert!(refusal(soon(root.check()).await).contains("turned off"));
    turn_authentication_on(&server).await;

    soon(root.check()).await.unwrap();
    let none = open(vec![server.address()], None, REQUEST_TIMEOUT);
    assert!(refusal(soon(none.check()).await).contains("asks for a login"));
    let wrong = open(vec![server.address()], Some(("root", "guess")), REQUEST_TIMEOUT);
    assert!(refusal(soon(wrong.check()).await).contains("etcdctl user passwd root"));
    let stranger = open(vec![server.address()], Some(("stranger", "secret")), REQUEST_TIMEOUT);
    let problem = refusal(soon(stranger.check()).await);
    assert!(problem.contains("--prefix /soloist/test/"), "{problem}");
}

#[tokio::test]
async fn the_permission_that_is_asked_for_suffices() {
    let server = Etcd::start().await;
    turn_authentication_on(&server).await;
    let store = open(vec![server.address()], Some(("soloist", "secret")), REQUEST_TIMEOUT);
    soon(store.check()).await.unwrap();
    let lease = soon(store.grant(Duration::from_secs(60))).await.unwrap().id;
    soon(store.renew(lease)).await.unwrap();
    let host = Host { store: store.clone(), lease, name: "a".into() };
    soon(store.join(lease, &host.member())).await.unwrap();
    let key = host.win().await;
    assert!(soon(store.verify(&key)).await.unwrap());
    soon(store.proclaim(&key, &host.candidate())).await.unwrap();
    let desk = Desk(store.state().unwrap());
    soon(desk.0.write(Guard::Leader(&key), "a", &[put("k", "1")])).await.unwrap();
    assert_eq!(desk.list("a").await, ["k"]);
    assert_eq!(desk.value("a", "k").await.unwrap(), "1");
    let mut rosters = soon(store.watch()).await.unwrap();
    assert_eq!(soon(rosters.next()).await.unwrap().unwrap().members.len(), 1);
    soon(store.resign(&key)).await.unwrap();
    assert!(soon(rosters.next()).await.unwrap().unwrap().groups.is_empty());
    soon(store.revoke(lease)).await.unwrap();
}

/// `root`, `soloist` with the permission that refusals name, and `stranger` with none.
async fn turn_authentication_on(server: &Etcd) {
    let mut etcd = server.connect().await;
    for user in ["root", "soloist", "stranger"] {
        etcd.user_add(user, "secret", None).await.unwrap();
        etcd.role_add(user).await.unwrap();
        etcd.user_grant_role(user, user).await.unwrap();
    }
    let own = Permission::new(PermissionType::Readwrite, "/soloist/test/").with_prefix();
    etcd.role_grant_permission("soloist", own).await.unwrap();
    etcd.auth_enable().await.unwrap();
}

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
    let server = Etcd::start().await;
    let dead = format!("127.0.0.1:{}", free_port());
    for endpoints in [vec![dead.clone(), server.address()], vec![server.address(), dead]] {
        let store = open(endpoints, None, REQUEST_TIMEOUT);
        for _ in 0..20 {
            soon(store.check()).await.unwrap();
        }
        assert!(soon(store.watch()).await.is_ok());
    }
}

#[tokio::test]
async fn a_silent_member_beside_a_live_one_costs_one_call() {
    let server = Etcd::start().await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_address = silent.local_addr().unwrap().to_string();
    let endpoints = vec![silent_address, server.address()];
    let store = open(endpoints, None, Duration::from_millis(500));
    assert!(soon(store.check()).await.unwrap_err().is_transient());
    for _ in 0..20 {
        soon(store.check()).await.unwrap();
    }
}

#[tokio::test]
async fn a_restarted_etcd_is_found_again() {
    let mut server = Etcd::start().await;
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
    // The connection that broke may be noticed by the first call only.
    let mut failures = 0;
    while let Err(error) = soon(store.renew(lease)).await {
        failures += 1;
        assert!(error.is_transient() && failures < 3, "{error:?}");
    }
    assert!(soon(store.watch()).await.is_ok());
}

#[tokio::test]
async fn a_frozen_etcd_ends_no_candidacy_and_is_found_again() {
    let server = Etcd::start().await;
    let store = open(vec![server.address()], None, Duration::from_millis(500));
    let (leader, heir) = (session(&store, "a").await, session(&store, "b").await);
    let key = leader.win().await;
    let campaign = heir.stand().await;
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
    // Whoever waits hears what happens next, in the order of before.
    soon(store.resign(&key)).await.unwrap();
    let key = soon(campaign).await.unwrap().unwrap();
    assert!(soon(store.verify(&key)).await.unwrap());
    assert!(!waiting.is_finished());
}

#[tokio::test]
async fn a_candidate_learns_that_it_was_removed() {
    let world = World::etcd().await;
    let (leader, heir) = (world.host("a").await, world.host("b").await);
    leader.win().await;
    let campaign = heir.stand().await;
    let roster = leader.roster(|roster| queue(roster) == ["a", "b"]).await;
    let standing = roster.groups.values().flatten().nth(1).unwrap();
    world.delete(&standing.key).await;
    assert!(soon(campaign).await.unwrap().unwrap_err().is_transient());
}

async fn session(store: &Arc<dyn Store>, name: &str) -> Host {
    let lease = soon(store.grant(LONG)).await.unwrap().id;
    Host { store: store.clone(), lease, name: name.into() }
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
}

#[tokio::test]
async fn a_write_of_state_whose_answer_is_lost_is_not_sent_again() {
    let server = Etcd::start().await;
    let mut etcd = server.connect().await;
    for by_version in [false, true] {
        let proxy = Proxy::to(server.address()).await;
        let endpoints = vec![proxy.address.to_string(), server.address()];
        let desk = Desk(open(endpoints, None, REQUEST_TIMEOUT).state().unwrap());
        desk.write("a", &[put("k", "before")]).await.unwrap();
        let version = desk.version("a", "k").await;
        let before = writes_to_k(&mut etcd).await;
        proxy.lose_answers();
        let write = Write { only_if: by_version.then_some(version), ..put("k", "after") };
        let breaking = async {
            while writes_to_k(&mut etcd).await == before {}
            proxy.break_down().await;
        };
        let writes = [write];
        let (answer, ()) = soon(async { tokio::join!(desk.write("a", &writes), breaking) }).await;
        // Neither done twice nor called a conflict: nobody knows whether it was made.
        assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
        assert_eq!(writes_to_k(&mut etcd).await, before + 1);
        // The next write takes the other member.
        desk.write("a", &[put("k", "later")]).await.unwrap();
    }
}

/// How often the key `k` of the action `a` was written since it was made.
async fn writes_to_k(etcd: &mut etcd_client::Client) -> i64 {
    let found = etcd.get("/soloist/test/state/a/k", None).await.unwrap();
    found.kvs().first().map_or(0, etcd_client::KeyValue::version)
}

#[tokio::test]
async fn a_write_of_state_passes_by_a_member_that_is_dead() {
    let server = Etcd::start().await;
    let dead = format!("127.0.0.1:{}", free_port());
    let desk = Desk(open(vec![dead, server.address()], None, REQUEST_TIMEOUT).state().unwrap());
    desk.write("a", &[put("k", "1")]).await.unwrap();
    assert_eq!(desk.value("a", "k").await.unwrap(), "1");
}

#[tokio::test]
async fn state_needs_no_answer_from_a_frozen_etcd_and_goes_on_after_it() {
    let server = Etcd::start().await;
    let store = open(vec![server.address()], None, Duration::from_millis(500));
    let desk = Desk(store.state().unwrap());
    desk.write("a", &[put("k", "1")]).await.unwrap();
    server.freeze();
    assert!(desk.write("a", &[put("k", "2")]).await.unwrap_err().is_transient());
    assert!(soon(desk.0.get("a", &["k".into()])).await.unwrap_err().is_transient());
    server.thaw();
    desk.write("a", &[put("k", "3")]).await.unwrap();
}

#[tokio::test]
async fn state_is_still_there_when_etcd_was_killed() {
    let mut server = Etcd::start().await;
    let desk = Desk(open(vec![server.address()], None, REQUEST_TIMEOUT).state().unwrap());
    desk.write("a", &[put("k", "1")]).await.unwrap();
    let version = desk.version("a", "k").await;
    server.kill().await;
    assert!(desk.write("a", &[put("k", "2")]).await.unwrap_err().is_transient());
    server.restart().await;
    let desk = Desk(open(vec![server.address()], None, REQUEST_TIMEOUT).state().unwrap());
    assert_eq!(
        (desk.version("a", "k").await, desk.value("a", "k").await.unwrap()),
        (version, "1".into())
    );
}
