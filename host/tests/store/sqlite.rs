//! What the SQLite store promises besides.

use std::{path::Path, process::Stdio, time::Duration};

use rusqlite::Connection;
use soloist::{
    config::StoreUrl,
    election::Group,
    store::{self, Candidate, StoreError},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::world::{LONG, REQUEST_TIMEOUT, World, queue, soon};

/// Where the second process of a test finds the store.
const FILE: &str = "SOLOIST_TEST_FILE";

async fn refusal(path: &Path) -> String {
    let url = StoreUrl::Sqlite(path.to_owned());
    let store = store::open(&url, "test", REQUEST_TIMEOUT).unwrap();
    match soon(store.check()).await {
        Err(StoreError::Refused { problem, .. }) => problem,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_not_ours_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    std::fs::write(&text, "not a database, but long enough to be looked at ".repeat(9)).unwrap();
    let before = std::fs::read(&text).unwrap();
    assert!(refusal(&text).await.contains("not a SQLite database"));
    assert_eq!(std::fs::read(&text).unwrap(), before);

    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (c)").unwrap();
    let before = std::fs::read(&foreign).unwrap();
    assert!(refusal(&foreign).await.contains("another application"));
    assert_eq!(std::fs::read(&foreign).unwrap(), before);

    let missing = folder.path().join("none/soloist.db");
    let problem = refusal(&missing).await;
    assert!(problem.contains("create ") && problem.contains("/none"), "{problem}");
    assert!(refusal(folder.path()).await.contains("cannot be opened"));
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let world = World::sqlite();
    soon(world.open().check()).await.unwrap();
    let StoreUrl::Sqlite(path) = &world.url else { unreachable!() };
    Connection::open(path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    assert!(refusal(path).await.contains("newer soloist"));
}

#[tokio::test]
async fn a_lease_of_another_clock_ends_when_it_stays_unrenewed() {
    let world = World::sqlite();
    let (old, new) = (world.host("a").await, world.host("b").await);
    let key = old.win().await;
    let campaign = new.stand().await;
    let StoreUrl::Sqlite(path) = &world.url else { unreachable!() };
    let sql = "UPDATE leases SET boot = 'another', ttl = 300000000 WHERE id = ?1";
    Connection::open(path).unwrap().execute(sql, [old.lease.0]).unwrap();
    assert!(soon(campaign).await.unwrap().unwrap().token > key.token);
    assert!(matches!(soon(old.store.renew(old.lease)).await, Err(StoreError::LeaseGone)));
}

#[tokio::test]
async fn a_removed_file_ends_every_wait_and_session() {
    let world = World::sqlite();
    let (leader, heir) = (world.host("a").await, world.host("b").await);
    let key = leader.win().await;
    let campaign = heir.stand().await;
    let StoreUrl::Sqlite(path) = &world.url else { unreachable!() };
    std::fs::remove_file(path).unwrap();
    assert!(soon(campaign).await.unwrap().unwrap_err().is_transient());
    // The first call may be the one that notices.
    let _ = soon(leader.store.check()).await;
    assert!(matches!(soon(leader.store.renew(leader.lease)).await, Err(StoreError::LeaseGone)));
    assert!(!soon(leader.store.verify(&key)).await.unwrap());
}

#[tokio::test]
async fn a_held_lock_is_told_in_time() {
    let world = World::sqlite();
    let store = store::open(&world.url, "test", Duration::from_millis(200)).unwrap();
    let lease = soon(store.grant(LONG)).await.unwrap().id;
    let StoreUrl::Sqlite(path) = &world.url else { unreachable!() };
    let holder = Connection::open(path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(soon(store.renew(lease)).await.unwrap_err().is_transient());
    holder.execute_batch("ROLLBACK").unwrap();
    soon(store.renew(lease)).await.unwrap();
}

#[tokio::test]
async fn a_killed_process_s_leadership_passes_on() {
    let world = World::sqlite();
    let StoreUrl::Sqlite(path) = &world.url else { unreachable!() };
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::second_process", "--ignored", "--nocapture"])
        .env(FILE, path)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(other.stdout.take().unwrap()).lines();
    while !soon(lines.next_line()).await.unwrap().unwrap().contains("leading") {}
    let host = world.host("b").await;
    let campaign = host.stand().await;
    host.roster(|roster| queue(roster) == ["a", "b"]).await;
    other.kill().await.unwrap();
    soon(campaign).await.unwrap().unwrap();
}

/// Not a test: the other process of the one above.
#[tokio::test]
#[ignore = "started by another test"]
async fn second_process() {
    let Ok(file) = std::env::var(FILE) else {
        return;
    };
    let store = store::open(&StoreUrl::Sqlite(file.into()), "test", REQUEST_TIMEOUT).unwrap();
    let lease = store.grant(Duration::from_secs(1)).await.unwrap().id;
    let candidate = Candidate { host: "a".into(), url: String::new(), since: None };
    store.campaign(&Group::main(), lease, &candidate).await.unwrap();
    println!("leading");
    let mut renewals = tokio::time::interval(Duration::from_millis(200));
    loop {
        renewals.tick().await;
        store.renew(lease).await.unwrap();
    }
}
