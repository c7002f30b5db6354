//! An etcd that requires logins, which expire soon.

use std::{fs, time::Duration};

use etcd_client::{Client, ConnectOptions, Permission, PermissionType};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use super::{TAKE_OVER, is_next, kept_its_place, leads_on, outlives_its_lease};
use crate::harness::{
    CALM_TTL, PATIENCE, TTL,
    cluster::Cluster,
    crowd::Crowd,
    etcd::Etcd,
    etcd_cluster::EtcdCluster,
    exit::UNAVAILABLE,
    process::{Process, agrees},
};

/// The lifetime of a login, whether it is used or not.
const LOGIN: &str = "2s";

/// The flags of an etcd whose logins expire soon. The folder contains its key.
fn flags() -> (Vec<String>, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let key = folder.path().join("key");
    fs::write(&key, "a key that signs logins, long enough for it").expect("a file");
    let flag = format!("--auth-token=jwt,sign-method=HS256,ttl={LOGIN},priv-key={}", key.display());
    // etcd makes logins expensive to protect passwords; this is not under test.
    let cheap = "--bcrypt-cost=4".to_owned();
    (vec![flag, cheap], folder)
}

/// Switches authentication on. The user `soloist` gets the rights that the error messages suggest.
async fn guard(etcd: &mut Client) {
    guard_by(etcd, "secret").await;
}

/// The same, with this password.
async fn guard_by(etcd: &mut Client, password: &str) {
    for user in ["root", "soloist"] {
        etcd.user_add(user, password, None).await.expect("a user");
        etcd.role_add(user).await.expect("a role");
        etcd.user_grant_role(user, user).await.expect("a grant");
    }
    let own = Permission::new(PermissionType::Readwrite, "/soloist/test/").with_prefix();
    etcd.role_grant_permission("soloist", own).await.expect("a grant");
    etcd.auth_enable().await.expect("authentication");
}

/// An etcd with one member and authentication.
pub(super) async fn guarded() -> (Etcd, TempDir) {
    let (flags, key) = flags();
    let server = Etcd::started_with(&flags).await;
    guard(&mut server.connect().await).await;
    (server, key)
}

/// Waits until a login that begins now has expired.
async fn a_login_ends(server: &Etcd) {
    let options = ConnectOptions::new().with_user("soloist", "secret");
    let login = Client::connect([server.endpoint()], Some(options)).await.expect("a login");
    let void = async {
        while login.kv_client().get("/soloist/test/", None).await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, void).await.expect("logins end");
}

/// Waits until a host sees three members.
async fn sees_three(host: &Process, patience: Duration) {
    let sees = async {
        while host.status().await["hosts"].as_array().is_none_or(|it| it.len() != 3) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(patience, sees).await.unwrap_or_else(|_| panic!("too few members:\n{}", host.log));
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_that_end_end_nothing_else() {
    let (server, _key) = guarded().await;
    let store = format!("etcd://soloist:secret@{}", server.endpoint());
    let mut cluster = Cluster::at(store, TTL);
    cluster.join("a").await;
    let before = cluster.web.until("a", |_| true).await;
    cluster.join("b").await;
    is_next(cluster.host("b")).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    for _ in 0..2 {
        a_login_ends(&server).await;
        outlives_its_lease(cluster.host("a")).await;
    }
    leads_on(cluster.host("a"), before.fencing_token).await;
    kept_its_place(cluster.host("b"));
    // The watch continues or is opened again: the new host is seen.
    cluster.join("c").await;
    sees_three(cluster.host("b"), PATIENCE).await;
    // `b` has waited for longer than its login was valid.
    let killed = Instant::now();
    cluster.kill("a").await;
    cluster.leading("b").await;
    crowd.hears_newer_than(before.fencing_token).await;
    let took = killed.elapsed();
    assert!(took < TTL + TAKE_OVER, "took over after {took:?}:\n{}", cluster.host("b").log);
    crowd.disperse().await;
}

/// A host that waits for one host's end and then for another's opens the second wait on a stream
/// from an old login.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_whose_login_has_ended_hears_of_every_end() {
    let (flags, _key) = flags();
    let etcd = EtcdCluster::started_with(&flags).await;
    guard(&mut etcd.members[0].connect().await).await;
    let store = etcd.url().replace("etcd://", "etcd://soloist:secret@");
    let mut cluster = Cluster::at(store, TTL);
    cluster.join("a").await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    for name in ["b", "c"] {
        cluster.join(name).await;
    }
    cluster.waiting("c", &["b", "c"]).await;
    a_login_ends(&etcd.members[0]).await;
    let seen = cluster.host("c").log.len();
    cluster.kill("b").await;
    cluster.waiting("c", &["c"]).await;
    let asked = Instant::now();
    cluster.terminate("a").await;
    let after = cluster.web.until("c", |answer| answer.host == "c").await;
    let (took, log) = (asked.elapsed(), &cluster.host("c").log);
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
    // The host was notified: its own look would come two TTLs later at the earliest.
    assert!(took < TTL * 3 / 2, "c led after {took:?}:\n{log}");
    let again = log.lines().iter().skip(seen).filter(|line| line["event"] == "standby").count();
    assert_eq!(again, 0, "it kept its place: {log}");
}

/// etcd hashes passwords, which takes long with many hosts or a slow machine. And it continues to
/// hash for clients that have given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_takes_longer_than_a_call_lets_in() {
    // About half a second on an idle machine; a call has 400 ms.
    let etcd = EtcdCluster::started_with(&["--bcrypt-cost=13".to_owned()]).await;
    guard(&mut etcd.members[0].connect().await).await;
    let store = etcd.url().replace("etcd://", "etcd://soloist:secret@");
    let mut cluster = Cluster::at(store, TTL);
    for name in ["a", "b", "c"] {
        cluster.start(name);
    }
    // More than twelve logins, each hashed separately, however slow the machine is.
    for name in ["a", "b", "c"] {
        sees_three(cluster.host(name), PATIENCE * 4).await;
    }
    cluster.web.until("somebody", |answer| answer.fencing_token > 0).await;
}

/// For etcd, refusing a password takes as long as accepting it. Hosts that tried it with every call
/// would keep each other from getting the refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_as_that_and_mended_without_a_restart() {
    // So slow, even on a fast machine, that no host is refused at its first call, after which it
    // would not start.
    let server = Etcd::started_with(&["--bcrypt-cost=14".to_owned()]).await;
    guard(&mut server.connect().await).await;
    let store = format!("etcd://soloist:wrong@{}", server.endpoint());
    let mut cluster = Cluster::at(store, TTL);
    let names = ["a", "b", "c"];
    let refused = |status: &serde_json::Value| {
        let error = status["store"]["last_error"].as_str().unwrap_or_default();
        error.contains("does not know user \"soloist\" with this password")
    };
    for name in names {
        cluster.start(name);
    }
    for name in names {
        agrees(cluster.host(name), refused).await;
    }
    // It stays like that, call after call.
    for _ in 0..20 {
        for name in names {
            let status = cluster.host(name).status().await;
            assert!(refused(&status), "{}", status["store"]);
        }
        sleep(TTL / 20).await;
    }
    let root = ConnectOptions::new().with_user("root", "secret");
    let mut root = Client::connect([server.endpoint()], Some(root)).await.expect("root");
    root.user_change_password("soloist", "wrong").await.expect("another password");
    for name in names {
        agrees(cluster.host(name), |status| status["store"]["state"] == "ok").await;
    }
    cluster.web.until("somebody", |answer| answer.fencing_token > 0).await;
}

/// The supervisor restarts the host until it comes back: nothing else would.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_crashes_while_its_login_is_refused_comes_back() {
    let (server, _key) = guarded().await;
    let mut cluster = Cluster::at(format!("etcd://soloist:secret@{}", server.endpoint()), TTL);
    cluster.supervised = true;
    cluster.join("a").await;
    let before = cluster.web.until("a", |_| true).await;
    let change = async |password: &str| {
        let root = ConnectOptions::new().with_user("root", "secret");
        let mut root = Client::connect([server.endpoint()], Some(root)).await.expect("root");
        root.user_change_password("soloist", password).await.expect("another password");
    };
    change("another").await;
    cluster.host("a").supervised(0).await.signal(Signal::KILL);
    let log = cluster.host("a").log.clone();
    assert_eq!(log.event(0, "not-back").await["code"], UNAVAILABLE, "{log}");
    log.event(0, "restarting").await;
    change("secret").await;
    cluster.web.until("a", |answer| answer.fencing_token > before.fencing_token).await;
}

/// A member that lost its data and was started alone requires no login, or another one. Its errors
/// about a host's login are trusted no more than what it says about the cluster.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_knows_no_such_login_is_passed_by() {
    let (flags, _key) = flags();
    let mut etcd = EtcdCluster::started_with(&flags).await;
    guard(&mut etcd.members[0].connect().await).await;
    let store = etcd.url().replace("etcd://", "etcd://soloist:secret@");
    let mut cluster = Cluster::at(store, CALM_TTL);
    cluster.join("a").await;
    let before = cluster.web.until("a", |answer| answer.host == "a").await;
    etcd.members[0].start_as_a_stranger().await;
    // A starting host knows nothing of the cluster, and asks the stranger first.
    cluster.join("b").await;
    guard_by(&mut etcd.members[0].connect().await, "another").await;
    cluster.join("c").await;
    cluster.waiting("c", &["b", "c"]).await;
    for name in ["b", "c"] {
        let named = cluster.host(name).log.event(0, "store-other-etcd").await;
        assert_eq!(named["address"], etcd.members[0].endpoint().as_str(), "{named}");
    }
    outlives_its_lease(cluster.host("a")).await;
    leads_on(cluster.host("a"), before.fencing_token).await;
    for name in ["b", "c"] {
        kept_its_place(cluster.host(name));
    }
    cluster.terminate("a").await;
    let after = cluster.web.until("b", |answer| answer.host == "b").await;
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
}
