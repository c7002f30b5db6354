//! How much state there may be.

use soloist_stores::{
    BATCH_BYTES_MAX, BATCH_MAX, KEY_MAX, KEYS_MAX, StateWrite, StoreError, VALUE_MAX, WriteGuard,
};

use crate::{
    state::{TestState, delete, only_if, put},
    world::{World, soon},
};

fn told<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Limit(problem)) => problem,
        other => panic!("no limit: {other:?}"),
    }
}

pub(crate) async fn what_is_too_large_is_refused_and_nothing_written(world: &World) {
    let state = TestState::of(world);
    let long = "k".repeat(KEY_MAX + 1);
    let many: Vec<_> = (0..=BATCH_MAX).map(|i| i.to_string()).collect();
    let five = ["a", "b", "c", "d", "e"].map(|key| put(key, vec![0; BATCH_BYTES_MAX / 4]));
    for (writes, words) in [
        (vec![put("fits", ""), put(&long, "")], "a key of 513 bytes: a key has 1 to 512"),
        (vec![put("fits", ""), put("", "")], "a key of 0 bytes"),
        (vec![put("fits", ""), put("k", vec![0; VALUE_MAX + 1])], "262144 at most"),
        (five.to_vec(), "write 1048576 at most"),
        (many.iter().map(|key| put(key, "")).collect(), "65 keys in one call: name 64 at most"),
    ] {
        let problem = told(state.write("a", &writes).await);
        assert!(problem.contains(words), "{problem}");
    }
    let problem = told(soon(state.0.get("a", &many)).await.map(drop));
    assert!(problem.contains("65 keys in one call"), "{problem}");
    let twice = state.write("a", &[put("k", "1"), put("k", "2")]).await.unwrap_err();
    assert!(twice.to_string().contains("twice"), "{twice}");
    assert_eq!(state.list("a").await, [""; 0]);
}

pub(crate) async fn the_largest_call_goes_through(world: &World) {
    let host = world.host("a").await;
    let key = host.win().await;
    let state = TestState(host.store.state().unwrap());
    let write = async |writes: &[StateWrite]| {
        soon(state.0.write(WriteGuard::Leader(&key), "a", writes)).await.unwrap();
    };
    // The maximum number of keys, each of the maximum length, with as much content as one call may
    // have.
    let keys: Vec<_> = (0..BATCH_MAX).map(|i| format!("{i:0>KEY_MAX$}")).collect();
    let value = |i: u8| vec![i; BATCH_BYTES_MAX / BATCH_MAX];
    let all = |i: u8| keys.iter().map(move |key| put(key, value(i)));
    write(&all(1).collect::<Vec<_>>()).await;
    write(&all(2).collect::<Vec<_>>()).await;
    let version = state.version("a", &keys[0]).await;
    write(&all(3).map(|write| only_if(version, write)).collect::<Vec<_>>()).await;
    let found = soon(state.0.get("a", &keys)).await.unwrap();
    assert!(found.iter().all(|entry| entry.as_ref().is_some_and(|e| e.value == value(3))));
    write(&keys.iter().map(|key| delete(key)).collect::<Vec<_>>()).await;
    write(&all(4).map(|write| only_if(0, write)).collect::<Vec<_>>()).await;

    // The same keys with values of the maximum size; one call can read them, but not write them.
    for some in keys.chunks(BATCH_BYTES_MAX / VALUE_MAX) {
        write(&some.iter().map(|key| put(key, vec![5; VALUE_MAX])).collect::<Vec<_>>()).await;
    }
    let found = soon(state.0.get("a", &keys)).await.unwrap();
    assert!(found.iter().all(|entry| entry.as_ref().is_some_and(|e| e.value.len() == VALUE_MAX)));
}

pub(crate) async fn an_action_keeps_so_many_keys_and_no_more(world: &World) {
    let state = TestState::of(world);
    let keys: Vec<_> = (0..KEYS_MAX).map(|i| i.to_string()).collect();
    for some in keys.chunks(BATCH_MAX) {
        let writes: Vec<_> = some.iter().map(|key| put(key, "")).collect();
        state.write("a", &writes).await.unwrap();
    }
    for one_more in [vec![put("new", "")], vec![put("0", "x"), only_if(0, put("new", ""))]] {
        let problem = told(state.write("a", &one_more).await);
        assert!(problem.contains("a may keep 10000 keys"), "{problem}");
    }
    assert_eq!(state.value("a", "0").await.unwrap(), "");
    assert_eq!(state.list("a").await.len(), KEYS_MAX);
    // Existing keys may be changed, and another action has its own limit.
    state.write("a", &[put("0", "x"), put("1", "x")]).await.unwrap();
    state.write("b", &[put("new", "")]).await.unwrap();
    state.write("a", &[delete("0"), put("new", "")]).await.unwrap();
    told(state.write("a", &[delete("none"), put("newer", "")]).await);
    state.write("a", &[delete("1")]).await.unwrap();
    state.write("a", &[put("newer", "")]).await.unwrap();
    told(state.write("a", &[put("newest", "")]).await);
}

/// The size is the sum of what the writes have said, on every path of a write.
pub(crate) async fn a_write_says_by_how_much_the_state_grows(world: &World) {
    let state = TestState::of(world);
    let size = async || soon(state.0.size("a")).await.unwrap();
    assert_eq!(size().await, 0);
    let mut sum = 0;
    for (writes, grows) in [
        (vec![put("k", "12345"), put("ä", "1")], 6 + 3),
        (vec![put("k", "1")], -4),
        (vec![put("k", "123"), put("new", "1"), delete("none")], 2 + 4),
        (vec![only_if(0, put("other", "1"))], 6),
        (vec![only_if(state.version("a", "none").await, delete("none"))], 0),
        (vec![delete("k"), put("ä", "")], -4 - 1),
        (vec![], 0),
    ] {
        assert_eq!(state.write("a", &writes).await.unwrap(), grows, "{writes:?}");
        sum += grows;
        assert_eq!(i64::try_from(size().await).unwrap(), sum, "{writes:?}");
    }
    state.write("b", &[put("k", "1")]).await.unwrap();
    assert_eq!(i64::try_from(size().await).unwrap(), sum, "each action has its own");
    // More than a page of any store.
    let keys: Vec<_> = (100..164).map(|key| key.to_string()).collect();
    let writes: Vec<_> = keys.iter().map(|key| put(key, "12")).collect();
    assert_eq!(state.write("c", &writes).await.unwrap(), 64 * 5);
    assert_eq!(soon(state.0.size("c")).await.unwrap(), 64 * 5);
}
