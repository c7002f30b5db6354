//! The properties of state that every store must have.

mod rig;

use std::{collections::BTreeSet, time::Duration};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, join_all, try_join_all},
};
use soloist_heart::{LeaseId, clock::BootTime};
use soloist_stores::{self as store, StateWrite, StoreError, VALUE_MAX, WriteGuard};

pub(crate) use self::rig::{TestState, delete, only_if, put};
use crate::world::{LONG, World, soon};

pub(crate) async fn what_is_put_is_got(world: &World) {
    let state = TestState::of(world);
    let binary: Vec<u8> = (0..=255).collect();
    state
        .write("a", &[put("text", "one"), put("empty", ""), put("binary", binary.clone())])
        .await
        .unwrap();
    let keys = ["binary", "none", "text", "empty", "text"].map(ToOwned::to_owned);
    let found = soon(state.0.get("a", &keys)).await.unwrap();
    let values: Vec<_> = found.iter().map(|e| e.as_ref().map(|entry| &*entry.value)).collect();
    let wanted = [Some(&*binary), None, Some(b"one"), Some(b""), Some(b"one")];
    assert_eq!(values, wanted);
    assert_eq!(soon(state.0.get("a", &[])).await.unwrap(), []);

    state.write("a", &[put("text", "two"), delete("empty"), delete("none")]).await.unwrap();
    assert_eq!(state.value("a", "text").await.unwrap(), "two");
    assert_eq!(state.value("a", "empty").await, None);
    assert_eq!(state.list("a").await, ["binary", "text"]);
    state.write("a", &[]).await.unwrap();
}

pub(crate) async fn keys_are_listed_in_the_order_of_their_bytes(world: &World) {
    let state = TestState::of(world);
    let keys = [
        "\0",
        "a",
        "a\0",
        "a\0b",
        "a b",
        "a/",
        "a/../b",
        "a/b",
        "a0",
        "ab",
        "b",
        "ä",
        "日本",
        "\u{ffff}",
        "🦀",
        "🦀/🦀",
    ];
    let sorted: BTreeSet<_> = keys.iter().map(|key| key.as_bytes()).collect();
    assert!(sorted.iter().eq(&keys.map(str::as_bytes)), "the test's own order");
    let writes: Vec<_> = keys.iter().rev().map(|key| put(key, *key)).collect();
    state.write("a", &writes).await.unwrap();
    assert_eq!(state.list("a").await, keys);
    for (i, key) in keys.iter().enumerate() {
        assert_eq!(state.value("a", key).await.unwrap(), *key);
        let page = soon(state.0.list("a", Some(key), 3)).await.unwrap();
        assert_eq!(page, keys[i + 1..keys.len().min(i + 4)], "after {key:?}");
    }
    // The key to continue from need not exist any more.
    state.write("a", &[delete("a/")]).await.unwrap();
    assert_eq!(soon(state.0.list("a", Some("a/"), 1)).await.unwrap(), ["a/../b"]);
    assert_eq!(soon(state.0.list("a", None, 1)).await.unwrap(), ["\0"]);
    assert_eq!(soon(state.0.list("a", None, 0)).await.unwrap(), [""; 0]);
}

pub(crate) async fn a_long_list_is_whole(world: &World) {
    let state = TestState::of(world);
    let keys: Vec<_> = (0..2100).map(|i| format!("{i:04}")).collect();
    for some in keys.chunks(60) {
        let writes: Vec<_> = some.iter().map(|key| put(key, "")).collect();
        state.write("a", &writes).await.unwrap();
    }
    assert_eq!(state.list("a").await, keys);
    assert_eq!(soon(state.0.list("a", Some("0009"), 2050)).await.unwrap(), keys[10..2060]);
}

pub(crate) async fn a_batch_is_made_wholly_or_not_at_all(world: &World) {
    let state = TestState::of(world);
    state.write("a", &[put("old", "1"), put("gone", "1")]).await.unwrap();
    let version = state.version("a", "old").await;
    let batch = |version| {
        let last = only_if(version, put("old", "2"));
        [put("new", "2"), delete("gone"), last]
    };
    let stale = state.write("a", &batch(version + 1)).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "{stale:?}");
    assert_eq!(state.list("a").await, ["gone", "old"]);
    assert_eq!(state.value("a", "old").await.unwrap(), "1");
    state.write("a", &batch(version)).await.unwrap();
    assert_eq!(state.list("a").await, ["new", "old"]);
    assert_eq!(state.value("a", "old").await.unwrap(), "2");
}

pub(crate) async fn versions_change_and_never_come_back(world: &World) {
    let state = TestState::of(world);
    let mut seen = BTreeSet::new();
    for round in 0..5 {
        for value in ["same", "same", "other"] {
            state.write("a", &[put("k", value)]).await.unwrap();
            let version = state.version("a", "k").await;
            assert!(version != 0 && seen.insert(version), "{version} again, {seen:?}");
        }
        state.write("a", &[put("else", "")]).await.unwrap();
        let last = seen.last().copied();
        assert_eq!(Some(state.version("a", "k").await), last, "another key's write changed it");
        state.write("a", &[delete("k")]).await.unwrap();
        // The first version of the new key differs from the old key's versions.
        let old = state.write("a", &[only_if(last.unwrap(), put("k", "late"))]).await;
        assert!(matches!(old, Err(StoreError::Conflict)), "in round {round}: {old:?}");
    }
}

pub(crate) async fn a_write_may_ask_for_a_version(world: &World) {
    let state = TestState::of(world);
    let conflict = async |write: StateWrite| {
        let answer = state.write("a", std::slice::from_ref(&write)).await;
        assert!(matches!(answer, Err(StoreError::Conflict)), "{write:?}: {answer:?}");
    };
    conflict(only_if(1, put("k", "1"))).await;
    conflict(only_if(1, delete("k"))).await;
    state.write("a", &[only_if(0, delete("k"))]).await.unwrap();
    state.write("a", &[only_if(0, put("k", "1"))]).await.unwrap();
    conflict(only_if(0, put("k", "2"))).await;
    conflict(only_if(0, delete("k"))).await;
    let version = state.version("a", "k").await;
    state.write("a", &[only_if(version, put("k", "2"))]).await.unwrap();
    conflict(only_if(version, put("k", "3"))).await;
    conflict(only_if(version, delete("k"))).await;
    assert_eq!(state.value("a", "k").await.unwrap(), "2");
    let version = state.version("a", "k").await;
    state.write("a", &[only_if(version, delete("k"))]).await.unwrap();
    assert_eq!(state.list("a").await, [""; 0]);
}

pub(crate) async fn increments_by_version_are_never_lost(world: &World) {
    const EACH: usize = 10;
    let desks: Vec<_> = (0..4).map(|_| TestState::of(world)).collect();
    let increments = desks.iter().map(async |state| {
        for _ in 0..EACH {
            loop {
                let entry = state.get("a", "k").await;
                let (count, version) = entry.map_or((0, 0), |entry| {
                    (String::from_utf8_lossy(&entry.value).parse().unwrap(), entry.version)
                });
                let count: usize = count + 1;
                let write = only_if(version, put("k", count.to_string()));
                match state.write("a", &[write]).await {
                    Ok(_) => break,
                    Err(StoreError::Conflict) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    });
    soon(try_join_all(increments)).await.unwrap();
    let total = (desks.len() * EACH).to_string();
    assert_eq!(desks[0].value("a", "k").await.unwrap(), total);
}

pub(crate) async fn state_outlives_those_who_wrote_it(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    let state = host.store.state().unwrap();
    soon(state.write(WriteGuard::Leader(&key), "a", &[put("k", "kept")])).await.unwrap();
    let version = TestState(state).version("a", "k").await;
    soon(host.store.revoke(host.lease)).await.unwrap();
    drop(host);
    let state = TestState::of(world);
    assert_eq!(state.value("a", "k").await.unwrap(), "kept");
    assert_eq!(state.version("a", "k").await, version);
}

pub(crate) async fn clusters_and_actions_keep_apart(world: &World) {
    let (state, other) =
        (TestState::of(world), TestState(world.open_cluster("testing").state().unwrap()));
    let actions = ["a", "ab", "a.b", "a-b", "a0", "A"];
    for action in actions {
        state.write(action, &[put("k", action), put(&format!("of {action}"), "")]).await.unwrap();
        other.write(action, &[put("k", "other")]).await.unwrap();
    }
    for action in actions {
        assert_eq!(state.value(action, "k").await.unwrap(), action);
        assert_eq!(state.list(action).await, ["k".to_owned(), format!("of {action}")]);
        assert_eq!(other.list(action).await, ["k"]);
    }
    state.write("a", &[delete("k")]).await.unwrap();
    for action in &actions[1..] {
        assert_eq!(state.list(action).await.len(), 2, "{action}");
    }
    for action in ["", "a/b", "a\0"] {
        for refused in [
            state.write(action, &[put("k", "")]).await.unwrap_err(),
            soon(state.0.get(action, &["k".into()])).await.unwrap_err(),
            soon(state.0.list(action, None, 1)).await.unwrap_err(),
        ] {
            assert!(refused.to_string().contains("the action's name"), "{refused}");
        }
    }
}

pub(crate) async fn the_roster_does_not_show_state(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    let mut rosters = soon(host.store.watch()).await.unwrap();
    soon(rosters.next()).await.unwrap().unwrap();
    let news = tokio::spawn(async move {
        let mut items = 0;
        while rosters.next().await.expect("a roster").unwrap().members.is_empty() {
            items += 1;
        }
        items
    });
    let (own, state) = (host.store.state().unwrap(), TestState::of(world));
    for i in 0..30 {
        let write = [put(&i.to_string(), "value")];
        soon(own.write(WriteGuard::Leader(&key), "a", &write)).await.unwrap();
        state.write("b", &write).await.unwrap();
        state.write("b", &[delete(&i.to_string())]).await.unwrap();
    }
    // The watch must report this.
    soon(host.store.join(host.lease, &host.member())).await.unwrap();
    assert_eq!(soon(news).await.unwrap(), 0, "state was told as news of the cluster");
}

/// A guest that waits for processor time may not poll its calls for long. They have begun, and must
/// not hold anything that others wait for.
pub(crate) async fn who_does_not_go_on_holds_nobody_up(world: &World) {
    let store = world.open();
    let state = store.state().unwrap();
    let large = [put("large", vec![7; VALUE_MAX])];
    soon(state.write(WriteGuard::Person, "a", &large)).await.unwrap();
    let (writes, keys) = ([put("k", "1")], ["large".to_owned()]);
    let mut begun: Vec<BoxFuture<'_, bool>> = Vec::new();
    for _ in 0..25 {
        begun.push(state.write(WriteGuard::Person, "a", &writes).map(|done| done.is_ok()).boxed());
        begun.push(state.get("a", &keys).map(|done| done.is_ok()).boxed());
    }
    // A call that the store has answered before it is polled is over; the others wait, unpolled.
    begun.retain_mut(|call| match call.now_or_never() {
        Some(is_ok) => {
            assert!(is_ok, "it failed at once");
            false
        }
        None => true,
    });
    assert!(!begun.is_empty(), "none waited for the store");
    for i in 0..10 {
        soon(state.write(WriteGuard::Person, "b", &[put("k", i.to_string())])).await.unwrap();
        let found = soon(state.get("b", &["k".into()])).await.unwrap();
        assert_eq!(found[0].as_ref().unwrap().value, i.to_string());
        assert_eq!(soon(state.get("a", &keys)).await.unwrap().len(), 1);
    }
    // They have been made in the meantime, except those that were cancelled.
    assert!(soon(join_all(begun)).await.into_iter().all(|done| done));
}

pub(crate) async fn a_flood_of_state_holds_up_no_renewal(world: &World) {
    const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
    let open = || store::open(&world.url, "test", REQUEST_TIMEOUT).unwrap();
    let (host, other) = (open(), open());
    let lease = soon(host.grant(LONG)).await.unwrap().id;
    let (own, others) = (host.state().unwrap(), other.state().unwrap());
    let fill: Vec<_> = (0..16).map(|i| i.to_string()).collect();
    for key in &fill {
        let big = put(key, vec![7; VALUE_MAX]);
        soon(own.write(WriteGuard::Person, "read", &[big])).await.unwrap();
    }
    let mut flood = tokio::task::JoinSet::new();
    for i in 0..60 {
        let (own, others, fill) = (own.clone(), others.clone(), fill.clone());
        flood.spawn(async move {
            let write = put(&i.to_string(), vec![0; VALUE_MAX / 4]);
            loop {
                // Some of these calls are refused; only the renewals matter here.
                let _ = match i % 3 {
                    0 => own.write(WriteGuard::Person, "a", std::slice::from_ref(&write)).await,
                    1 => others.write(WriteGuard::Person, "a", std::slice::from_ref(&write)).await,
                    _ => own.get("read", &fill).await.map(|_| 0),
                };
            }
        });
    }
    let mut worst = Duration::ZERO;
    for i in 0..40 {
        let asked = BootTime::now();
        renewed(&host.renew(lease).await, lease, i);
        worst = worst.max(BootTime::now().since(asked));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("the slowest of 40 renewals took {worst:?}");
    let ended = std::iter::from_fn(|| flood.join_next().now_or_never()).next();
    assert!(ended.is_none(), "the flood ended: {ended:?}");
}

fn renewed(answer: &Result<Duration, StoreError>, lease: LeaseId, i: usize) {
    assert!(answer.is_ok(), "renewal {i} of {lease}: {answer:?}");
}
