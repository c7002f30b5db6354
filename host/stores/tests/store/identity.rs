//! A store that is another one, or an older one, is told of before anything else of it is.

use std::sync::Arc;

use futures::future::join_all;
use soloist_stores::{Guard, Store, StoreError, StoreMismatch};
use tokio::sync::watch;

use crate::{
    state::{Desk, put},
    world::{Host, World, queue, soon},
};

/// What a store was told to be.
type Told = watch::Receiver<Option<StoreMismatch>>;

pub(crate) async fn the_identity_is_made_once(world: &mut World) {
    let stores: Vec<_> = (0..4).map(|_| world.open()).collect();
    // A file that another just makes may be locked.
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

/// Renews until that is answered, and returns what it hears of the store by then.
async fn hears(host: &Host, told: &mut Told) -> StoreMismatch {
    let answered = async {
        while host.store.renew(host.lease).await.is_err_and(|error| error.is_transient()) {}
    };
    soon(answered).await;
    assert!(told.has_changed().unwrap(), "an answer came first");
    told.borrow_and_update().clone().expect("a mismatch")
}

/// All is well with the store as it is now: it is told of once.
async fn goes_on(store: &Arc<dyn Store>, told: &Told) {
    soon(store.check()).await.unwrap();
    let lease = soon(store.grant(crate::world::LONG)).await.unwrap().id;
    let host = Host { store: Arc::clone(store), lease, name: "later".into() };
    soon(store.join(lease, &host.member())).await.unwrap();
    host.roster(|roster| roster.member("later").is_some()).await;
    assert!(!told.has_changed().unwrap(), "told twice");
    // A name is one living host's.
    soon(store.revoke(lease)).await.unwrap();
}

pub(crate) async fn an_older_store_is_told_of(world: &mut World) {
    let (leader, standby) = (world.host("a").await, world.host("b").await);
    soon(leader.store.join(leader.lease, &leader.member())).await.unwrap();
    let backup = world.back_up().await;
    let key = leader.win().await;
    // More than is written before the last of them looks.
    for _ in 0..20 {
        soon(leader.store.join(leader.lease, &leader.member())).await.unwrap();
    }
    standby.roster(|roster| queue(roster) == ["a"]).await;
    let told = [&leader, &standby].map(|host| (host, host.store.mismatches()));
    world.restore(&backup).await;
    for (host, mut told) in told {
        let mismatch = hears(host, &mut told).await;
        assert!(mismatch.behind && mismatch.seen.contains("went back from"), "{mismatch:?}");
        assert!(mismatch.seen.contains("restart this host if that was meant"), "{mismatch:?}");
        goes_on(&host.store, &told).await;
    }
    assert!(!soon(leader.store.verify(&key)).await.unwrap());
    // Whoever comes now knows nothing of it.
    let newcomer = world.open();
    goes_on(&newcomer, &newcomer.mismatches()).await;
}

pub(crate) async fn an_older_state_alone_is_told_of(world: &mut World) {
    let leader = world.host("a").await;
    let key = leader.win().await;
    let desk = Desk(leader.store.state().unwrap());
    desk.write("a", &[put("k", "before")]).await.unwrap();
    let backup = world.back_up().await;
    // By another handle of the same store: what each of them sees counts for all.
    while desk.write("a", &[put("k", "after")]).await.is_err_and(|error| error.is_transient()) {}
    let mut told = leader.store.mismatches();
    world.restore(&backup).await;
    assert!(hears(&leader, &mut told).await.behind);
    // The key has been there all along, and so it may write.
    let write = async {
        loop {
            match desk.0.write(Guard::Leader(&key), "a", &[put("k", "now")]).await {
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
    assert!(
        !mismatch.behind && mismatch.seen.contains("another identity, another"),
        "{mismatch:?}"
    );
    goes_on(&host.store, &told).await;
}

pub(crate) async fn a_store_that_goes_on_is_the_same(world: &mut World) {
    let host = world.host("a").await;
    let told = host.store.mismatches();
    // A server that is stopped and started is what it was.
    let _ = world.back_up().await;
    let answered = async { while host.store.renew(host.lease).await.is_err() {} };
    soon(answered).await;
    assert!(!told.has_changed().unwrap());
    goes_on(&host.store, &told).await;
}
