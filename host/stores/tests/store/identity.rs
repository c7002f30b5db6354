//! A store that was replaced or set back is reported before anything else from it.

use std::sync::Arc;

use futures::future::join_all;
use soloist_stores::{Store, StoreError, StoreMismatch, WriteGuard};
use tokio::sync::watch;

use crate::{
    state::{TestState, put},
    world::{TestHost, World, queue, soon},
};

/// The mismatches that a store reports.
pub(crate) type MismatchReceiver = watch::Receiver<Option<StoreMismatch>>;

pub(crate) async fn the_identity_is_made_once(world: &mut World) {
    let stores: Vec<_> = (0..4).map(|_| world.open()).collect();
    // While another store object creates the file, it may be locked.
    let opened = stores.iter().map(async |store| while store.check().await.is_err() {});
    soon(join_all(opened)).await;
    let identity = world.identity().await;
    assert_eq!(identity.len(), 32, "{identity}");
    for store in stores.iter().chain(&[world.open()]) {
        soon(store.check()).await.unwrap();
        assert_eq!(*store.mismatches().borrow(), None);
    }
    assert_eq!(world.identity().await, identity);
}

/// Renews until there is an answer, and returns the mismatch that was reported by then.
pub(crate) async fn hears(host: &TestHost, told: &mut MismatchReceiver) -> StoreMismatch {
    let answered = async {
        while host.store.renew(host.lease).await.is_err_and(|error| error.is_transient()) {}
    };
    soon(answered).await;
    assert!(told.has_changed().unwrap(), "an answer came first");
    told.borrow_and_update().clone().expect("a mismatch")
}

/// The store works in its new state, and the mismatch is not reported again.
async fn goes_on(store: &Arc<dyn Store>, told: &MismatchReceiver) {
    soon(store.check()).await.unwrap();
    let lease = soon(store.grant(crate::world::LONG)).await.unwrap().id;
    let host = TestHost { store: Arc::clone(store), lease, name: "later".into() };
    soon(store.join(lease, &host.member())).await.unwrap();
    host.roster(|roster| roster.member("later").is_some()).await;
    assert!(!told.has_changed().unwrap(), "told twice");
    // The name is needed again.
    soon(store.revoke(lease)).await.unwrap();
}

pub(crate) async fn an_older_store_is_told_of(world: &mut World) {
    let (leader, standby) = (world.host("a").await, world.host("b").await);
    soon(leader.store.join(leader.lease, &leader.member())).await.unwrap();
    let backup = world.back_up().await;
    let key = leader.win().await;
    // More revisions than are written before the last host looks.
    for _ in 0..20 {
        soon(leader.store.join(leader.lease, &leader.member())).await.unwrap();
    }
    standby.roster(|roster| queue(roster) == ["a"]).await;
    let told = [&leader, &standby].map(|host| (host, host.store.mismatches()));
    world.restore(&backup).await;
    for (host, mut told) in told {
        let mismatch = hears(host, &mut told).await;
        assert!(mismatch.seen.contains("went back from"), "{mismatch:?}");
        assert!(mismatch.above >= key.fencing_token, "{mismatch:?}");
        goes_on(&host.store, &told).await;
    }
    assert!(!soon(leader.store.verify(&key)).await.unwrap());
    // A host that connects only now cannot know of it.
    let newcomer = world.open();
    goes_on(&newcomer, &newcomer.mismatches()).await;
}

pub(crate) async fn an_older_state_alone_is_told_of(world: &mut World) {
    let leader = world.host("a").await;
    let key = leader.win().await;
    let state = TestState(leader.store.state().unwrap());
    state.write("a", &[put("k", "before")]).await.unwrap();
    let backup = world.back_up().await;
    // The state uses separate connections to the same store: what one connection sees counts for
    // all.
    while state.write("a", &[put("k", "after")]).await.is_err_and(|error| error.is_transient()) {}
    let mut told = leader.store.mismatches();
    world.restore(&backup).await;
    assert!(hears(&leader, &mut told).await.seen.contains("went back from"));
    // The key exists in the restored state, so its holder may write.
    let write = async {
        loop {
            match state.0.write(WriteGuard::Leader(&key), "a", &[put("k", "now")]).await {
                Err(StoreError::Unavailable { .. }) => {}
                other => return other,
            }
        }
    };
    soon(write).await.unwrap();
}

pub(crate) async fn another_store_is_told_of(world: &mut World) {
    let host = world.host("a").await;
    let mut told = host.store.mismatches();
    world.change_identity().await;
    let mismatch = hears(&host, &mut told).await;
    assert!(mismatch.seen.contains("another identity, another"), "{mismatch:?}");
    assert!(!mismatch.seen.contains("went back"), "{mismatch:?}");
    goes_on(&host.store, &told).await;
}

pub(crate) async fn a_store_that_goes_on_is_the_same(world: &mut World) {
    let host = world.host("a").await;
    let told = host.store.mismatches();
    // A server that is stopped and started again is the same store.
    let _ = world.back_up().await;
    let answered = async { while host.store.renew(host.lease).await.is_err() {} };
    soon(answered).await;
    assert!(!told.has_changed().unwrap());
    goes_on(&host.store, &told).await;
}
