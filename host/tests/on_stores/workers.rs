//! The queued call workers of several hosts at work on one queue, on each store.

mod rig;

use std::{sync::Arc, time::Duration};

use soloist_heart::clock::BootTime;
use soloist_stores::QueuedCallState;

use self::rig::{MANY, WorkLog, WorkerHost, answer, enqueue, enqueue_many, error};
pub(crate) use self::rig::{hosts, settings};
use crate::world::{LONG, World, soon};

pub(crate) async fn a_queued_call_is_done_and_answered(world: &World) {
    let log = Arc::new(WorkLog::default());
    let host = WorkerHost::start(world, "a", &log, 2).await;
    let caller = world.open().call_queue().unwrap();
    let key = enqueue(&*caller, "it", 3).await;
    let found = answer(&*caller, &key).await;
    assert_eq!(
        (&*found.payload, found.content_type.as_deref()),
        (&b"did it"[..], Some("text/plain"))
    );
    assert_eq!(log.attempts(&key), [("a".to_owned(), 1)]);
    host.stop().await;
    // Without a worker a queued call waits, and the next worker finds it.
    let key = enqueue(&*caller, "it", 3).await;
    let _host = WorkerHost::start(world, "b", &log, 2).await;
    answer(&*caller, &key).await;
}

pub(crate) async fn what_fails_is_tried_again_and_buried_in_the_end(world: &World) {
    let log = Arc::new(WorkLog::default());
    let host = WorkerHost::start(world, "a", &log, 8).await;
    let call_queue = &*host.call_queue;
    let began = BootTime::now();
    let (failing, refused) =
        (enqueue(call_queue, "fail", 2).await, enqueue(call_queue, "refuse", 9).await);
    let (once, long) =
        (enqueue(call_queue, "fail once", 2).await, enqueue(call_queue, "too long", 9).await);
    assert_eq!(error(call_queue, &refused).await, (1, "it was refused: it is wrong".into()));
    let (attempts, reason) = error(call_queue, &long).await;
    assert!(attempts == 1 && reason.contains("an answer of 307200 bytes"), "{reason}");
    assert_eq!(error(call_queue, &failing).await, (2, "it failed: it failed".into()));
    let waited = BootTime::now().since(began);
    assert!(waited >= Duration::from_millis(500), "tried again after {waited:?}");
    assert_eq!(&*answer(call_queue, &once).await.payload, b"did fail once");
    assert_eq!(log.attempts(&once), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    assert_eq!(log.attempts(&failing).len(), 2);

    // A replayed dead letter has all its attempts again.
    assert!(soon(call_queue.replay(&refused)).await.unwrap());
    log.until(|| log.attempts(&refused).len() == 2).await;
    assert_eq!(log.attempts(&refused)[1].1, 1);
}

pub(crate) async fn the_queued_calls_of_a_host_that_dies_are_done_by_others(world: &World) {
    let log = Arc::new(WorkLog::default());
    log.set_hanging("a", true);
    let a = WorkerHost::start(world, "a", &log, 4).await;
    let keys = enqueue_many(&*a.call_queue).await;
    log.until_under_way("a", 4).await;
    let others = [
        WorkerHost::start(world, "b", &log, 3).await,
        WorkerHost::start(world, "c", &log, 3).await,
    ];
    let held =
        keys.iter().filter(|key| !log.attempts(key).is_empty() && log.attempts(key)[0].0 == "a");
    let held: Vec<_> = held.cloned().collect();
    assert_eq!(held.len(), 4);
    a.die().await;
    let call_queue = &*others[0].call_queue;
    let mut repeats = 0;
    for key in &keys {
        answer(call_queue, key).await;
        repeats += log.attempts(key).len() - 1;
    }
    println!("{MANY} queued calls, one host of three killed: {repeats} were done again");
    assert_eq!(repeats, held.len());
    for key in held {
        assert_eq!(log.attempts(&key).last().unwrap().1, 2, "the attempt was counted");
    }
}

pub(crate) async fn a_queued_call_that_kills_its_hosts_is_no_loop(world: &World) {
    let log = Arc::new(WorkLog::default());
    let caller = world.open().call_queue().unwrap();
    let key = enqueue(&*caller, "it", 2).await;
    for name in ["a", "b"] {
        log.set_hanging(name, true);
        let host = WorkerHost::start(world, name, &log, 1).await;
        log.until_under_way(name, 1).await;
        host.die().await;
    }
    let _host = WorkerHost::start(world, "c", &log, 1).await;
    let (attempts, reason) = error(&*caller, &key).await;
    assert_eq!((attempts, &*reason), (2, "b was lost during the last attempt"));
    assert_eq!(log.attempts(&key).len(), 2, "c has not begun it");
}

pub(crate) async fn a_stop_gives_back_at_once(world: &World) {
    let log = Arc::new(WorkLog::default());
    log.set_hanging("a", true);
    let a = WorkerHost::start(world, "a", &log, 2).await;
    let caller = world.open().call_queue().unwrap();
    let keys = [enqueue(&*caller, "it", 2).await, enqueue(&*caller, "it", 2).await];
    log.until_under_way("a", 2).await;
    let _b = WorkerHost::start(world, "b", &log, 2).await;
    // Its session is still alive, so no other host has waited for the end of that.
    a.stop().await;
    assert_eq!(log.under_way("a"), 0, "the attempts were dropped");
    for key in &keys {
        answer(&*caller, key).await;
        let attempts = log.attempts(key);
        assert_eq!(attempts, [("a".to_owned(), 1), ("b".to_owned(), 1)], "it did not count");
    }
}

pub(crate) async fn a_stop_lets_finish_what_is_under_way(world: &World) {
    let log = Arc::new(WorkLog::default());
    log.set_hanging("a", true);
    let a = WorkerHost::start_with(world, "a", &log, 1, LONG).await;
    let caller = world.open().call_queue().unwrap();
    let first = enqueue(&*caller, "first", 2).await;
    log.until_under_way("a", 1).await;
    let second = enqueue(&*caller, "second", 2).await;
    a.ending.cancel();
    log.set_hanging("a", false);
    soon(a.work).await.unwrap();
    answer(&*caller, &first).await;
    assert!(log.attempts(&second).is_empty(), "a host that stops begins nothing");
    assert!(matches!(caller.state(&second).await.unwrap(), Some(QueuedCallState::Queued(_))));
}

pub(crate) async fn a_lost_session_interrupts(world: &World) {
    let log = Arc::new(WorkLog::default());
    log.set_hanging("a", true);
    let a = WorkerHost::start(world, "a", &log, 2).await;
    let key = enqueue(&*a.call_queue, "it", 3).await;
    log.until_under_way("a", 1).await;
    a.session.send_replace(None);
    log.until_under_way("a", 0).await;
    log.set_hanging("a", false);
    soon(a.store.revoke(a.lease)).await.unwrap();
    // With a new session it goes on, even on the same host.
    let lease = soon(a.store.grant(LONG)).await.unwrap().id;
    a.session.send_replace(Some(lease));
    answer(&*a.call_queue, &key).await;
    assert_eq!(log.attempts(&key), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    // The store may know of the end of a session before the host does.
    soon(a.store.revoke(lease)).await.unwrap();
    let key = enqueue(&*a.call_queue, "it", 3).await;
    let lease = soon(a.store.grant(LONG)).await.unwrap().id;
    a.session.send_replace(Some(lease));
    answer(&*a.call_queue, &key).await;
}

pub(crate) async fn a_full_host_leaves_a_queued_call_to_another(world: &World) {
    let log = Arc::new(WorkLog::default());
    let full = WorkerHost::start(world, "full", &log, 1).await;
    let key = enqueue(&*full.call_queue, "it", 1).await;
    log.until(|| !log.attempts(&key).is_empty()).await;
    let _b = WorkerHost::start(world, "b", &log, 1).await;
    answer(&*full.call_queue, &key).await;
    let attempts = log.attempts(&key);
    assert!(attempts.iter().all(|(_, attempt)| *attempt == 1), "{attempts:?}");
}

pub(crate) async fn hosts_share_the_work_within_their_places(world: &World) {
    let log = Arc::new(WorkLog::default());
    let names = ["a", "b", "c"];
    let mut hosts = Vec::new();
    for name in names {
        log.set_hanging(name, true);
        hosts.push(WorkerHost::start(world, name, &log, 3).await);
    }
    let keys = enqueue_many(&*hosts[0].call_queue).await;
    for name in names {
        log.until_under_way(name, 3).await;
    }
    // A host takes more queued calls when its settings say so, and none of a task that it lacks.
    hosts[0].take_up(settings(5));
    log.until_under_way("a", 5).await;
    hosts[1].take_up(Arc::default());
    log.set_hanging("b", false);
    // First `c` does more than it had at once, then `a` does; neither can do the other's share.
    log.allow("c", 6);
    log.until(|| log.begun_by("c") > 5).await;
    log.allow("a", 6);
    log.until(|| log.begun_by("a") > 5).await;
    for name in names {
        log.set_hanging(name, false);
    }
    for key in &keys {
        answer(&*hosts[0].call_queue, key).await;
    }
    let most = log.most_at_once.lock().unwrap().clone();
    assert_eq!((most["a"], most["b"], most["c"]), (5, 3, 3));
    let begun = log.begun.lock().unwrap().clone();
    assert_eq!(begun.len(), MANY);
    assert!(begun.values().all(|attempts| attempts.len() == 1), "nothing was done twice");
    let [a, b, c] = names.map(|name| log.begun_by(name));
    assert_eq!(b, 3);
    assert!(a > 5 && c > 5, "a {a}, c {c}");
}
