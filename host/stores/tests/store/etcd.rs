//! The properties that only the etcd store has.

use std::{sync::Arc, time::Duration};

use etcd_client::{Permission, PermissionType, PutOptions};
use futures::StreamExt;
use soloist_config::StoreUrl;
use soloist_heart::{Group, clock::BootTime};
use soloist_stores::{self as store, Member, StateWrite, Store, StoreError, WriteGuard};

use crate::{
    etcd_server::{EtcdServer, free_port},
    proxy::LossyProxy,
    state::{StateClient, put},
    world::{LONG, REQUEST_TIMEOUT, TestHost, World, next, queue, soon},
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
    let server = EtcdServer::start().await;
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
    let desk = StateClient(store.state().unwrap());
    soon(desk.0.write(WriteGuard::Leader(&key), "a", &[put("k", "1")])).await.unwrap();
    assert_eq!(desk.list("a").await, ["k"]);
    assert_eq!(desk.value("a", "k").await.unwrap(), "1");
    let mut rosters = soon(store.watch()).await.unwrap();
    assert_eq!(soon(rosters.next()).await.unwrap().unwrap().members.len(), 1);
    soon(store.resign(&key)).await.unwrap();
    assert!(soon(rosters.next()).await.unwrap().unwrap().groups.is_empty());
    soon(store.revoke(lease)).await.unwrap();
}

/// The users `root`, `soloist` with the permission that refusals ask for, and `stranger` with none.
async fn turn_authentication_on(server: &EtcdServer) {
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
    // The waiting candidates are notified, in the same order as before.
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

async fn session(store: &Arc<dyn Store>, name: &str) -> TestHost {
    let lease = soon(store.grant(LONG)).await.unwrap().id;
    TestHost { store: store.clone(), lease, name: name.into() }
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

/// The notification of a change is lost entirely, with no other sign of it.
#[tokio::test]
async fn a_wake_up_that_never_comes_costs_some_time_and_no_turn() {
    let server = EtcdServer::start().await;
    let proxy = LossyProxy::to(server.address()).await;
    let leader = session(&open(vec![server.address()], None, REQUEST_TIMEOUT), "a").await;
    let key = leader.win().await;
    let brief = Duration::from_millis(300);
    let heir = session(&open(vec![proxy.address.to_string()], None, brief), "b").await;
    let campaign = heir.stand().await;
    let mut rosters = soon(heir.store.watch()).await.unwrap();
    next(&mut rosters, |roster| queue(roster) == ["a", "b"]).await;
    let resigned = BootTime::now();
    proxy.lose_what_follows(async { soon(leader.store.resign(&key)).await.unwrap() }).await;
    let key = soon(campaign).await.unwrap().unwrap();
    let took = BootTime::now().since(resigned);
    assert!(took > brief * 10 && took < brief * 25, "after {took:?}: it was to look again");
    assert!(soon(heir.store.verify(&key)).await.unwrap());
    next(&mut rosters, |roster| queue(roster) == ["b"]).await;
    let took = BootTime::now().since(resigned);
    assert!(took < brief * 25, "the roster was stale for {took:?}");
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

#[tokio::test]
async fn a_write_of_state_whose_answer_is_lost_is_not_sent_again() {
    let server = EtcdServer::start().await;
    let mut etcd = server.connect().await;
    for by_version in [false, true] {
        let proxy = LossyProxy::to(server.address()).await;
        let endpoints = vec![proxy.address.to_string(), server.address()];
        let desk = StateClient(open(endpoints, None, REQUEST_TIMEOUT).state().unwrap());
        desk.write("a", &[put("k", "before")]).await.unwrap();
        let version = desk.version("a", "k").await;
        let before = writes_to_k(&mut etcd).await;
        proxy.lose_answers();
        let write = StateWrite { only_if: by_version.then_some(version), ..put("k", "after") };
        let breaking = async {
            while writes_to_k(&mut etcd).await == before {}
            proxy.break_down().await;
        };
        let writes = [write];
        let (answer, ()) = soon(async { tokio::join!(desk.write("a", &writes), breaking) }).await;
        // It is neither made twice nor reported as a conflict: nobody knows whether it was made.
        assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
        assert_eq!(writes_to_k(&mut etcd).await, before + 1);
        // The next write goes to the other member.
        desk.write("a", &[put("k", "later")]).await.unwrap();
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
    let desk = StateClient(open(endpoints, None, REQUEST_TIMEOUT).state().unwrap());
    desk.write("a", &[put("k", "1")]).await.unwrap();
    assert_eq!(desk.value("a", "k").await.unwrap(), "1");
}

#[tokio::test]
async fn state_needs_no_answer_from_a_frozen_etcd_and_goes_on_after_it() {
    let server = EtcdServer::start().await;
    let store = open(vec![server.address()], None, Duration::from_millis(500));
    let desk = StateClient(store.state().unwrap());
    desk.write("a", &[put("k", "1")]).await.unwrap();
    server.freeze();
    assert!(desk.write("a", &[put("k", "2")]).await.unwrap_err().is_transient());
    assert!(soon(desk.0.get("a", &["k".into()])).await.unwrap_err().is_transient());
    server.thaw();
    desk.write("a", &[put("k", "3")]).await.unwrap();
}

#[tokio::test]
async fn state_is_still_there_when_etcd_was_killed() {
    let mut server = EtcdServer::start().await;
    let desk = StateClient(open(vec![server.address()], None, REQUEST_TIMEOUT).state().unwrap());
    desk.write("a", &[put("k", "1")]).await.unwrap();
    let version = desk.version("a", "k").await;
    server.kill().await;
    assert!(desk.write("a", &[put("k", "2")]).await.unwrap_err().is_transient());
    server.restart().await;
    let desk = StateClient(open(vec![server.address()], None, REQUEST_TIMEOUT).state().unwrap());
    assert_eq!(
        (desk.version("a", "k").await, desk.value("a", "k").await.unwrap()),
        (version, "1".into())
    );
}

/// The text of an error, and that of its cause.
fn text(error: &StoreError) -> String {
    let below = std::error::Error::source(error).map(ToString::to_string);
    format!("{error}: {}", below.unwrap_or_default())
}

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
    let desk = StateClient(store.state().unwrap());
    soon(desk.0.write(WriteGuard::Leader(&key), "a", &[put("k", "1")])).await.unwrap();
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
    let mut stranger = members[0].connect().await;
    let all = etcd_client::GetOptions::new().with_prefix();
    assert!(stranger.get("/soloist/", Some(all)).await.unwrap().kvs().is_empty());
}

#[tokio::test]
async fn a_stranger_that_alone_can_be_reached_is_not_believed() {
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
        assert!(problem.contains("members of several etcds"), "{problem}");
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
    let desk = StateClient(store.state().unwrap());
    assert!(desk.write("a", &[put("k", "1")]).await.unwrap_err().is_transient());
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
    assert!(!told.behind && told.seen.contains("another identity, another"), "{told:?}");
}
