//! What an action stores: `wasi:keyvalue`, as a guest sees it.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use soloist::action::Action;
use soloist_config::{ActionConfig, Grants, Limits};
use soloist_guests::capability::TermNotice;
use soloist_heart::clock::BootTime;
use soloist_stores::{BATCH_BYTES_MAX, BATCH_MAX, KEY_MAX, VALUE_MAX};
use tokio::task::JoinSet;

use crate::rig::{
    RunningAction, TestStore, config, free_address, gate, guest_file, prepare_with, prepare_within,
};

fn granted() -> Grants {
    Grants { state: true, ..Grants::default() }
}

/// The text of the response, which must be a success.
async fn told(rig: &RunningAction, path: &str) -> String {
    let (status, text) = rig.ask(path).await;
    assert_eq!(status, 200, "{path}: {text}");
    text
}

/// The text of the error, which there must be.
async fn refused(rig: &RunningAction, path: &str) -> String {
    let (status, text) = rig.ask(path).await;
    assert_eq!(status, 500, "{path}: {text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_does_what_the_standard_says() {
    let rig = TestStore::new().start(prepare_with("state", granted())).await;
    told(&rig, "/open/").await;
    told(&rig, "/open/default").await;
    assert_eq!(refused(&rig, "/open/other").await, "no such store");
    told(&rig, "/set/a/1").await;
    assert_eq!(told(&rig, "/get/a").await, "1\n");
    assert_eq!(told(&rig, "/get/b").await, "-\n");
    assert_eq!(told(&rig, "/exists/a").await, "true");
    assert_eq!(told(&rig, "/exists/b").await, "false");
    // Of two values for one key, the last one counts.
    told(&rig, "/set/b/2/c/3/b/4").await;
    assert_eq!(told(&rig, "/get/c/b/x/a").await, "3\n4\n-\n1\n");
    assert_eq!(told(&rig, "/increment/a/41").await, "42");
    assert_eq!(told(&rig, "/get/a").await, "42\n");
    told(&rig, "/delete/a").await;
    told(&rig, "/delete/a").await;
    told(&rig, "/delete/b/nothing/b").await;
    assert_eq!(told(&rig, "/list").await, "c\n\n");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_survives_its_leader() {
    let (world, prepared) = (TestStore::new(), prepare_with("state", granted()));
    let rig = world.start(prepared.clone()).await;
    let first = rig.gate.term().fencing_token;
    told(&rig, "/set/a/kept").await;
    let key = rig.key.clone();
    rig.stop().await;
    world.store.resign(&key).await.unwrap();
    let rig = world.start(prepared).await;
    assert!(rig.gate.term().fencing_token > first);
    assert_eq!(told(&rig, "/get/a").await, "kept\n");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_a_former_leader_is_refused_and_ends_the_term() {
    let (world, prepared) = (TestStore::new(), prepare_with("state", granted()));
    let mut rig = world.start(prepared.clone()).await;
    told(&rig, "/set/a/old").await;
    // Nothing tells the host that its key is gone.
    world.store.resign(&rig.key).await.unwrap();
    let (status, text) = rig.ask("/set/a/late").await;
    assert_eq!(status, 503, "{text}");
    assert_eq!(rig.notices.recv().await, Some(TermNotice::Fenced));
    assert!(rig.gate.is_revoked());
    assert_eq!(rig.ask("/get/a").await.0, 503, "nothing leaves any more");
    rig.stop().await;
    let rig = world.start(prepared).await;
    assert_eq!(told(&rig, "/get/a").await, "old\n");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_grant_there_is_none() {
    let rig = TestStore::new().start(prepare_with("state", Grants::default())).await;
    assert_eq!(refused(&rig, "/open/").await, "access denied");
    assert_eq!(refused(&rig, "/get/a").await, "access denied");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told() {
    let rig = TestStore::new().start(prepare_with("state", granted())).await;
    let key = "k".repeat(KEY_MAX);
    told(&rig, &format!("/fill/{key}/{VALUE_MAX}")).await;
    let long = refused(&rig, &format!("/set/{key}k/1")).await;
    assert!(long.contains("a key of 513 bytes: a key has 1 to 512"), "{long}");
    let large = refused(&rig, &format!("/fill/a/{}", VALUE_MAX + 1)).await;
    assert!(large.contains("a value of 262145 bytes: 262144 at most"), "{large}");
    let empty = refused(&rig, "/get/").await;
    assert!(empty.contains("a key of 0 bytes"), "{empty}");

    let keys: Vec<_> = (0..=BATCH_MAX).map(|number| format!("/{number}/1")).collect();
    let many = refused(&rig, &format!("/set{}", keys.concat())).await;
    assert!(many.contains("65 keys in one call: name 64 at most"), "{many}");
    told(&rig, &format!("/set{}", keys[1..].concat())).await;
    let values: Vec<_> =
        (0..=BATCH_BYTES_MAX / VALUE_MAX).map(|number| format!("/{number}/{VALUE_MAX}")).collect();
    let bytes = refused(&rig, &format!("/fill{}", values.concat())).await;
    assert!(bytes.contains("bytes in one call: write 1048576 at most"), "{bytes}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_in_pages() {
    let rig = TestStore::new().start(prepare_with("state", granted())).await;
    assert_eq!(told(&rig, "/list").await, "\n");
    for batch in (0..200).collect::<Vec<_>>().chunks(50) {
        let pairs: Vec<_> = batch.iter().map(|number| format!("/{number:03}/x")).collect();
        told(&rig, &format!("/set{}", pairs.concat())).await;
    }
    let pages =
        |text: String| text.split("\n\n").map(|page| page.lines().count()).collect::<Vec<_>>();
    assert_eq!(pages(told(&rig, "/list").await), [100, 100, 0]);
    told(&rig, "/set/200/x").await;
    let text = told(&rig, "/list").await;
    let keys: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(keys, (0..=200).map(|number| format!("{number:03}")).collect::<Vec<_>>());
    assert_eq!(pages(text), [100, 100, 1, 0]);
    let foreign = refused(&rig, "/list-from/7").await;
    assert!(foreign.contains("7 is not one of"), "{foreign}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_lose_nothing() {
    let rig = TestStore::new().start(prepare_with("state", granted())).await;
    let mut sums = join_all((0..40).map(async |_| told(&rig, "/increment/n/1").await)).await;
    sums.sort_by_key(|sum| sum.parse::<u64>().unwrap());
    assert_eq!(sums, (1..=40).map(|sum| sum.to_string()).collect::<Vec<_>>());
    told(&rig, "/set/n/many").await;
    let text = refused(&rig, "/increment/n/1").await;
    assert!(text.contains("`n` holds no counter"), "{text}");
    told(&rig, &format!("/set/n/{}", u64::MAX)).await;
    let text = refused(&rig, "/increment/n/1").await;
    assert!(text.contains("would exceed"), "{text}");
    rig.stop().await;
}

/// A guest that waits for the store is not delayed by guests that compute: the neighbour may write
/// without waiting for all of their turns.
#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_writes_beside_guests_that_compute_and_write() {
    let world = TestStore::answering_within(Duration::from_secs(1));
    let limits = Limits { max_concurrent_requests: 100, ..Limits::default() };
    let rig = Arc::new(world.start(prepare_within("state", limits, granted())).await);
    let config = config(guest_file("state"), free_address());
    let config = ActionConfig { name: "other".into(), grants: granted().into(), ..config };
    let action = Action::prepare(&config, &rig.engine).unwrap();
    let (term, key) = (gate(rig.key.fencing_token.0, BootTime::NEVER), rig.key.clone());
    let mut neighbour = RunningAction::under(&world, (rig.engine.clone(), action), term, key);
    neighbour.running.started().await.unwrap();

    let computing = rig.begin("GET /spin HTTP/1.1\r\nhost: a\r\n\r\n", 60).await;
    let mut writing = JoinSet::new();
    for writer in 0..25 {
        let rig = rig.clone();
        writing.spawn(async move {
            loop {
                rig.ask(&format!("/set/{writer}/1")).await;
            }
        });
    }
    for write in 0..40 {
        told(&neighbour, &format!("/set/k/{write}")).await;
        assert_eq!(told(&neighbour, "/get/k").await, format!("{write}\n"));
    }
    writing.shutdown().await;
    drop(computing);
    neighbour.gate.close();
    neighbour.running.stop().await;
    Arc::into_inner(rig).unwrap().stop().await;
}
