//! A store that refuses to revoke: a host that is asked to stop ends all the same.

use std::{fs::OpenOptions, os::unix::fs::FileExt, path::Path, time::Duration};

use etcd_client::{Client, ConnectOptions};
use rusqlite::Connection;
use serde_json::Value;
use tokio::time::Instant;

use super::auth::guarded;
use crate::harness::{
    TTL,
    cluster::{Cluster, Kind},
    process::{agrees, until_readiness},
};

/// How long a stop may take beyond the lease: the teardown, and failing calls.
const STOP: Duration = Duration::from_secs(3);

async fn ends_with_its_lease(cluster: &mut Cluster) {
    let began = Instant::now();
    let log = cluster.terminate("a").await;
    let took = began.elapsed();
    assert!(took < TTL + STOP, "it went on for {took:?}: {log}");
    assert!(log.story().contains(&"stopped".to_owned()), "{log}");
    // The host tries again and again, and reports it once.
    assert!(log.events("resigning").len() < 3, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_was_changed_holds_no_leader() {
    let (server, _key) = guarded().await;
    let store = |password: &str| format!("etcd://soloist:{password}@{}", server.endpoint());
    let mut cluster = Cluster::at(store("secret"), TTL);
    cluster.join("a").await;
    let before = cluster.web.until("a", |_| true).await;
    let root = ConnectOptions::new().with_user("root", "secret");
    let mut root = Client::connect([server.endpoint()], Some(root)).await.expect("root");
    root.user_change_password("soloist", "other").await.expect("another password");
    // It continues to lead: its lease needs no login.
    super::outlives_its_lease(cluster.host("a")).await;
    ends_with_its_lease(&mut cluster).await;
    cluster.join_by("b", store("other")).await;
    let after = cluster.web.until("b", |answer| answer.host == "b").await;
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
}

/// The remaining hosts renew their sessions, which needs no login, and learn nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_lost_under_a_refused_login_is_missed() {
    let (server, _key) = guarded().await;
    let store = |password: &str| format!("etcd://soloist:{password}@{}", server.endpoint());
    let mut cluster = Cluster::at(store("secret"), TTL);
    cluster.join("a").await;
    cluster.web.until("a", |_| true).await;
    cluster.join("b").await;
    let root = ConnectOptions::new().with_user("root", "secret");
    let mut root = Client::connect([server.endpoint()], Some(root)).await.expect("root");
    root.user_change_password("soloist", "other").await.expect("another password");
    until_readiness(cluster.host("b"), false, "with this password").await;
    cluster.kill("a").await;
    let missed = |status: &Value| {
        let group = &status["groups"]["main"];
        let why = group["leaderless"]["why"].as_str().unwrap_or_default();
        group["leader"].is_null() && why.contains("does not hear from the store")
    };
    agrees(cluster.host("b"), missed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_damaged_holds_no_leader() {
    let mut cluster = Cluster::new(Kind::Sqlite).await.brief();
    cluster.join("a").await;
    cluster.web.until("a", |_| true).await;
    damage(&cluster.folder.path().join("soloist.db"), "candidates_lease");
    super::outlives_its_lease(cluster.host("a")).await;
    ends_with_its_lease(&mut cluster).await;
}

/// Overwrites the first page of an index.
fn damage(path: &Path, index: &str) {
    let store = Connection::open(path).expect("a store");
    store.busy_timeout(Duration::from_secs(10)).expect("a setting");
    let begun = Instant::now();
    // The log must be empty, because its pages take precedence.
    while store
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
        .expect("an answer")
        != 0
    {
        assert!(begun.elapsed() < Duration::from_secs(10), "the log is never empty");
    }
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    let page: i64 = store.query_row(sql, [index], |row| row.get(0)).expect("an index");
    let size: i64 = store.pragma_query_value(None, "page_size", |row| row.get(0)).expect("a size");
    let file = OpenOptions::new().write(true).open(path).expect("the file");
    let noise = vec![0xa5; usize::try_from(size).expect("small")];
    file.write_all_at(&noise, u64::try_from((page - 1) * size).expect("a place")).expect("a page");
    // Other connections drop their cached pages when something is written.
    store.execute("UPDATE counter SET revision = revision + 1", []).expect("a write");
}
