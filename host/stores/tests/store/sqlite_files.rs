//! What happens to running hosts when the files of the SQLite store are tampered with.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    fcntl::{FcntlArg, fcntl},
    libc::{F_RDLCK, F_UNLCK, SEEK_SET, flock},
};
use soloist_config::StoreUrl;
use soloist_stores::{self as store, StoreError};
use tokio::time::Instant;

use crate::{
    state::{TestState, put},
    world::{REQUEST_TIMEOUT, World, soon},
};

/// The time within which a host notices, plus what a busy machine may add.
const AT_ONCE: Duration = Duration::from_millis(250 + 500);

fn path(world: &World) -> &Path {
    let StoreUrl::Sqlite(path) = &world.url else { unreachable!() };
    path
}

fn sibling(world: &World, end: &str) -> PathBuf {
    path(world).with_extension(format!("db{end}"))
}

async fn refusal(path: &Path) -> String {
    let store = store::open(&StoreUrl::Sqlite(path.into()), "test", REQUEST_TIMEOUT).unwrap();
    match soon(store.check()).await {
        Err(StoreError::Refused { problem, .. }) => problem,
        other => panic!("not refused: {other:?}"),
    }
}

/// Removes files next to the database while a leader and a next leader are using it.
async fn is_noticed_and_loses_nothing(ends: &[&str]) {
    let world = World::sqlite();
    let (leader, next_leader) = (world.host("a").await, world.host("b").await);
    let key = leader.win().await;
    let campaign = next_leader.stand().await;
    let state = TestState(leader.store.state().unwrap());
    state.write("a", &[put("k", "1")]).await.unwrap();
    assert_eq!(state.value("a", "k").await.unwrap(), "1");
    let lost = [leader.clone(), next_leader.clone()]
        .map(|host| tokio::spawn(async move { host.store.session_lost(host.lease).await }));
    // Everything sent before this call has been handled.
    soon(futures::future::join(leader.store.check(), next_leader.store.check())).await.0.unwrap();
    let begun = Instant::now();
    for end in ends {
        fs::remove_file(sibling(&world, end)).unwrap();
    }
    for lost in lost {
        let told = soon(lost).await.unwrap().to_string();
        assert!(begun.elapsed() < AT_ONCE, "{:?} after it was removed: {told}", begun.elapsed());
    }
    assert!(soon(campaign).await.unwrap().unwrap_err().is_transient());
    // A new host finds everything that was written, including the leader's lease.
    let newcomer = world.open();
    soon(newcomer.check()).await.unwrap();
    assert!(soon(newcomer.verify(&key)).await.unwrap());
    assert_eq!(state.value("a", "k").await.unwrap(), "1");
    state.write("a", &[put("k", "2")]).await.unwrap();
    assert_eq!(TestState(newcomer.state().unwrap()).value("a", "k").await.unwrap(), "2");
}

#[tokio::test]
async fn a_log_that_is_removed_is_noticed_and_loses_nothing() {
    is_noticed_and_loses_nothing(&["-wal"]).await;
}

#[tokio::test]
async fn an_index_that_is_removed_is_noticed_and_loses_nothing() {
    is_noticed_and_loses_nothing(&["-shm"]).await;
}

#[tokio::test]
async fn both_that_are_removed_are_noticed_and_lose_nothing() {
    is_noticed_and_loses_nothing(&["-wal", "-shm"]).await;
}

#[tokio::test]
async fn a_second_name_is_refused_while_the_first_goes_on() {
    let world = World::sqlite();
    let leader = world.host("a").await;
    let key = leader.win().await;
    let other = path(&world).with_file_name("other.db");
    fs::hard_link(path(&world), &other).unwrap();
    for name in [&*other, path(&world)] {
        let problem = refusal(name).await;
        assert!(problem.contains("2 names") && problem.contains("remove the others"), "{problem}");
    }
    assert!(soon(leader.store.verify(&key)).await.unwrap());
    fs::remove_file(&other).unwrap();
    soon(world.open().check()).await.unwrap();
}

#[tokio::test]
async fn a_symbolic_link_is_no_second_name() {
    let world = World::sqlite();
    let leader = world.host("a").await;
    let key = leader.win().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link.db");
    symlink(path(&world), &link).unwrap();
    let store = store::open(&StoreUrl::Sqlite(link), "test", REQUEST_TIMEOUT).unwrap();
    assert!(soon(store.verify(&key)).await.unwrap());
    // Nothing was created next to the link.
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
}

/// Looks like a process that uses the file with another log: it locks a byte in the range of marks.
struct ForeignLock(File);

impl ForeignLock {
    fn at(path: &Path) -> Self {
        Self(File::options().read(true).write(true).open(path).unwrap())
    }

    fn mark(&self, kind: i32) {
        let (l_type, l_whence) = (kind.try_into().unwrap(), SEEK_SET.try_into().unwrap());
        let lock = flock { l_type, l_whence, l_start: 1 << 61, l_len: 1, l_pid: 0 };
        fcntl(&self.0, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    }
}

#[tokio::test]
async fn who_uses_the_file_with_another_log_ends_every_session_and_keeps_all_out() {
    let world = World::sqlite();
    let leader = world.host("a").await;
    leader.win().await;
    // Kept until the end of the test: closing it would drop SQLite's locks.
    let foreign = ForeignLock::at(path(&world));
    let (store, lease) = (leader.store.clone(), leader.lease);
    let lost = tokio::spawn(async move { store.session_lost(lease).await });
    soon(leader.store.check()).await.unwrap();
    let begun = Instant::now();
    foreign.mark(F_RDLCK);
    let told = soon(lost).await.unwrap();
    assert!(begun.elapsed() < AT_ONCE, "{:?}: {told:?}", begun.elapsed());
    let problem = refusal(path(&world)).await;
    for words in ["another `-wal`", "have all hosts name the same file", "fuser"] {
        assert!(problem.contains(words), "no {words:?} in {problem}");
    }
    assert!(soon(leader.store.grant(REQUEST_TIMEOUT)).await.is_err());
    foreign.mark(F_UNLCK);
    soon(leader.store.grant(REQUEST_TIMEOUT)).await.unwrap();
}
