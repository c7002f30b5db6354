//! The properties that only the SQLite store has.

use std::{
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::future::{join_all, try_join_all};
use rusqlite::Connection;
use soloist_config::StoreUrl;
use soloist_heart::{
    Group, LeaseId,
    clock::{self, BootTime},
};
use soloist_stores::{self as store, Candidate, Member, StoreError, VALUE_MAX, WriteGuard};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::{
    state::{TestState, put},
    world::{LONG, REQUEST_TIMEOUT, TestHost, World, queue, soon},
};

/// The variable that tells a test's second process where the store is.
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
    assert!(refusal(folder.path()).await.contains("is a folder: name a file in it"));
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let world = World::sqlite();
    soon(world.open().check()).await.unwrap();
    let StoreUrl::Sqlite(path) = &world.url else { unreachable!() };
    Connection::open(path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(refusal(path).await.contains("newer soloist"));
}

/// The statements by which version 1 of the schema created a file.
const VERSION_1: &str = "
    CREATE TABLE counter (
        id       INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL
    ) STRICT;
    INSERT INTO counter VALUES (1, 5000);

    CREATE TABLE leases (
        id      INTEGER PRIMARY KEY,
        ttl     INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        boot    TEXT NOT NULL
    ) STRICT;

    CREATE TABLE candidates (
        create_revision INTEGER PRIMARY KEY,
        cluster         TEXT NOT NULL,
        grp             TEXT NOT NULL,
        lease           INTEGER NOT NULL REFERENCES leases ON DELETE CASCADE,
        value           TEXT NOT NULL,
        UNIQUE (cluster, grp, lease)
    ) STRICT;
    CREATE INDEX candidates_lease ON candidates (lease);

    CREATE TABLE members (
        cluster TEXT NOT NULL,
        name    TEXT NOT NULL,
        lease   INTEGER NOT NULL REFERENCES leases ON DELETE CASCADE,
        value   TEXT NOT NULL,
        PRIMARY KEY (cluster, name)
    ) STRICT;
    CREATE INDEX members_lease ON members (lease);
    PRAGMA application_id = 0x534f4c4f;
    PRAGMA user_version = 1;
    PRAGMA journal_mode = wal;
";

#[tokio::test]
async fn a_file_of_version_1_is_taken_over_with_all_that_is_in_it() {
    let world = World::sqlite();
    let StoreUrl::Sqlite(path) = &world.url else { unreachable!() };
    let old = Connection::open(path).unwrap();
    old.execute_batch(VERSION_1).unwrap();
    let ttl = i64::try_from(LONG.as_nanos()).unwrap();
    let expires = i64::try_from((BootTime::now() + LONG).as_nanos()).unwrap();
    let boot = clock::identity().unwrap();
    old.execute("INSERT INTO leases VALUES (7, ?1, ?2, ?3)", (ttl, expires, boot)).unwrap();
    let candidate = r#"{"host":"a","url":"http://a"}"#;
    let sql = "INSERT INTO candidates VALUES (4711, 'test', 'main', 7, ?1)";
    old.execute(sql, [candidate]).unwrap();
    let member = r#"{"name":"a","url":"http://a","joined":1,"version":"0","machine":"m"}"#;
    old.execute("INSERT INTO members VALUES ('test', 'a', 7, ?1)", [member]).unwrap();
    drop(old);

    let lease = LeaseId(7);
    let host = TestHost { store: world.open(), lease, name: "a".into() };
    let roster = host.roster(|roster| roster.members.len() == 1).await;
    assert_eq!((roster.revision, queue(&roster)), (5000, vec!["a".into()]));
    assert_eq!(soon(host.store.renew(lease)).await.unwrap(), LONG);
    let leader = roster.leader(&Group::main()).unwrap().key.clone();
    assert!(soon(host.store.verify(&leader)).await.unwrap());
    let state = TestState(host.store.state().unwrap());
    soon(state.0.write(WriteGuard::Leader(&leader), "a", &[put("k", "1")])).await.unwrap();
    assert_eq!(state.value("a", "k").await.unwrap(), "1");
    let version: i32 = Connection::open(path)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 7);
    // It is not upgraded again.
    assert_eq!(TestState::of(&world).value("a", "k").await.unwrap(), "1");
}

#[tokio::test]
async fn two_that_take_over_a_file_of_version_1_at_once_do_no_harm() {
    let world = World::sqlite();
    let StoreUrl::Sqlite(path) = &world.url else { unreachable!() };
    Connection::open(path).unwrap().execute_batch(VERSION_1).unwrap();
    let stores: Vec<_> = (0..4).map(|_| world.open()).collect();
    soon(try_join_all(stores.iter().map(|store| store.check()))).await.unwrap();
    TestState::of(&world).write("a", &[put("k", "1")]).await.unwrap();
}

/// A host must not mistake the file for another application's while another host creates its
/// tables. It may find the file locked, and retries.
#[tokio::test]
async fn hosts_that_make_a_file_at_once_all_get_it() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("soloist.db"));
        let open = |_| store::open(&url, "test", LONG).unwrap();
        let stores: Vec<_> = (0..6).map(open).collect();
        let opened = stores.iter().map(async |store| {
            loop {
                match store.check().await {
                    Err(error) if error.is_transient() => {}
                    other => return other,
                }
            }
        });
        soon(try_join_all(opened)).await.unwrap();
    }
}

#[tokio::test]
async fn state_in_a_file_that_was_removed_is_gone_and_told() {
    let world = World::sqlite();
    let state = TestState::of(&world);
    state.write("a", &[put("k", "1")]).await.unwrap();
    assert_eq!(state.value("a", "k").await.unwrap(), "1");
    let StoreUrl::Sqlite(path) = &world.url else { unreachable!() };
    std::fs::remove_file(path).unwrap();
    let told = soon(state.0.get("a", &["k".into()])).await.unwrap_err();
    assert!(told.is_transient() && format!("{told:?}").contains("another identity"), "{told:?}");
    assert_eq!(state.value("a", "k").await, None, "a removed file was read");
}

#[tokio::test]
async fn state_is_read_while_another_process_writes() {
    let world = World::sqlite();
    let store = store::open(&world.url, "test", Duration::from_millis(200)).unwrap();
    let state = TestState(store.state().unwrap());
    state.write("a", &[put("k", "1")]).await.unwrap();
    let StoreUrl::Sqlite(path) = &world.url else { unreachable!() };
    let holder = Connection::open(path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(state.value("a", "k").await.unwrap(), "1");
    assert!(state.write("a", &[put("k", "2")]).await.unwrap_err().is_transient());
    holder.execute_batch("ROLLBACK").unwrap();
    state.write("a", &[put("k", "3")]).await.unwrap();
}

/// Without turns, the other writer's earlier writes would all be made first.
#[tokio::test]
async fn who_writes_much_waits_for_itself() {
    let world = World::sqlite();
    let state = world.open().state().unwrap();
    let (large, done) = ([put("k", vec![7; VALUE_MAX])], AtomicUsize::new(0));
    let many = join_all((0..200).map(async |_| {
        state.write(WriteGuard::Person, "a", &large).await.unwrap();
        done.fetch_add(1, Ordering::Relaxed);
    }));
    let one = async {
        for _ in 0..5 {
            soon(state.write(WriteGuard::Person, "b", &[put("k", "1")])).await.unwrap();
        }
        done.load(Ordering::Relaxed)
    };
    let (_, before) = futures::join!(many, one);
    assert!(before < 20, "5 writes waited for {before} of another");
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
    assert!(soon(campaign).await.unwrap().unwrap().fencing_token > key.fencing_token);
    assert!(matches!(soon(old.store.renew(old.lease)).await, Err(StoreError::LeaseGone)));
}

#[tokio::test]
async fn a_removed_file_ends_every_wait_and_session() {
    let world = World::sqlite();
    let (leader, next_leader) = (world.host("a").await, world.host("b").await);
    let key = leader.win().await;
    let campaign = next_leader.stand().await;
    let StoreUrl::Sqlite(path) = &world.url else { unreachable!() };
    std::fs::remove_file(path).unwrap();
    assert!(soon(campaign).await.unwrap().unwrap_err().is_transient());
    // First the host notices that the file is gone, and then that there is another store.
    let renewed = async {
        loop {
            match leader.store.renew(leader.lease).await {
                Err(error) if error.is_transient() => {}
                answer => return answer,
            }
        }
    };
    assert!(matches!(soon(renewed).await, Err(StoreError::LeaseGone)));
    assert!(!soon(leader.store.verify(&key)).await.unwrap());
}

#[tokio::test]
async fn a_file_whose_rows_were_deleted_says_what_to_do() {
    let world = World::sqlite();
    let host = world.host("a").await;
    let StoreUrl::Sqlite(path) = &world.url else { unreachable!() };
    Connection::open(path).unwrap().execute_batch("DELETE FROM counter").unwrap();
    let error = soon(host.store.grant(LONG)).await.unwrap_err();
    let text = soloist_text::with_causes(&error);
    assert!(text.contains("rows that soloist wrote were deleted"), "{text}");
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

/// Not a test, but the other process of the test above.
#[tokio::test]
#[ignore = "started by another test"]
async fn second_process() {
    let Ok(file) = std::env::var(FILE) else {
        return;
    };
    let store = store::open(&StoreUrl::Sqlite(file.into()), "test", REQUEST_TIMEOUT).unwrap();
    let lease = store.grant(Duration::from_secs(1)).await.unwrap().id;
    let candidate = Candidate::of(&Member::named("a"));
    store.campaign(&Group::main(), lease, &candidate).await.unwrap();
    println!("leading");
    let mut renewals = tokio::time::interval(Duration::from_millis(200));
    loop {
        renewals.tick().await;
        store.renew(lease).await.unwrap();
    }
}
