//! The operations on queued calls, and their errors.

use std::time::Duration;

use bytes::Bytes;
use soloist::tasks::call_queue::{CallQueueError, CallQueueErrorKind, CallQueueService};
use soloist_stores::{CallClaimer, QueuedCallKey};
use tokio::sync::watch;

use crate::{
    call_queue::{WatchedQueue, answer},
    workers::settings,
    world::{TestHost, World, soon},
};

fn service(world: &World) -> CallQueueService {
    CallQueueService {
        call_queue: world.open().call_queue().unwrap(),
        tasks: watch::Sender::new(settings(1)).subscribe(),
    }
}

async fn enqueue(service: &CallQueueService, payload: &'static [u8]) -> QueuedCallKey {
    soon(service.enqueue("t", Bytes::from_static(payload), None)).await.unwrap()
}

/// Makes a queued call end as a dead letter.
async fn bury(service: &CallQueueService, host: &TestHost, key: &QueuedCallKey) {
    let by = CallClaimer { lease: host.lease, host: "a".into(), ticket: 1 };
    let seen = WatchedQueue::of(&*service.call_queue).await.queued.remove(key).unwrap();
    let (claim, _) = soon(service.call_queue.claim(&by, &seen)).await.unwrap().unwrap();
    soon(service.call_queue.mark_dead(&claim, "it is wrong")).await.unwrap();
}

fn kind(error: Result<usize, CallQueueError>) -> CallQueueErrorKind {
    let error = error.unwrap_err();
    assert!(!error.error.is_empty() && !error.help.is_empty(), "{error:?}");
    error.kind
}

pub(crate) async fn what_cannot_be_enqueued_is_told_with_what_to_do(world: &World) {
    let service = service(world);
    let refused = async |task: &str, length: usize, form: usize| {
        let form = Some("f".repeat(form));
        soon(service.enqueue(task, vec![0; length].into(), form)).await.unwrap_err()
    };
    let error = refused("nothing", 1, 1).await;
    assert_eq!((error.kind.code(), &*error.error), (404, "no task nothing"));
    assert_eq!(error.help, "there are: t");
    let error = refused("t", 1025, 1).await;
    assert_eq!(error.kind.code(), 413);
    assert_eq!(error.error, "a payload of 1025 bytes: t takes 1024 at most");
    assert_eq!(refused("t", 1, 300).await.kind.code(), 400);
    assert!(WatchedQueue::of(&*service.call_queue).await.queued.is_empty(), "nothing was queued");

    let mut few = settings(1);
    std::sync::Arc::make_mut(&mut few).get_mut("t").unwrap().max_queued = 1;
    let service = CallQueueService { tasks: watch::Sender::new(few).subscribe(), ..service };
    enqueue(&service, b"1").await;
    let error = soon(service.enqueue("t", Bytes::new(), None)).await.unwrap_err();
    assert_eq!(error.kind.code(), 429);
    assert!(error.error.contains("t has 1 queued calls to do"), "{error}");
}

pub(crate) async fn a_queued_call_is_looked_at_from_any_host(world: &World) {
    let (here, there) = (service(world), service(world));
    let host = world.host("a").await;
    let key = enqueue(&here, b"payload").await;
    let (entry, none) = soon(there.find(&key)).await.unwrap();
    assert_eq!((entry.state, none), ("queued", None));
    let json = serde_json::to_value(&entry).unwrap();
    assert_eq!(
        (&json["task"], &json["attempts"], &json["bytes"]),
        (&"t".into(), &0.into(), &7.into())
    );
    let by = CallClaimer { lease: host.lease, host: "a".into(), ticket: 1 };
    let seen = WatchedQueue::of(&*there.call_queue).await.queued.remove(&key).unwrap();
    let (claim, _) = soon(there.call_queue.claim(&by, &seen)).await.unwrap().unwrap();
    let (entry, _) = soon(here.find(&key)).await.unwrap();
    assert_eq!((entry.state, entry.head.by.as_deref()), ("claimed", Some("a")));
    soon(there.call_queue.complete(&claim, &answer("1"), Duration::from_secs(60))).await.unwrap();
    let (entry, found) = soon(here.find(&key)).await.unwrap();
    assert_eq!((entry.state, found), ("done", Some(answer("1"))));
    assert!(entry.ended.unwrap() >= entry.head.queued);

    let error = soon(here.find(&QueuedCallKey::new("t", "none"))).await.unwrap_err();
    assert_eq!((error.kind.code(), &*error.error), (404, "no queued call t/none"));
}

pub(crate) async fn dead_letters_are_replayed_and_purged(world: &World) {
    let (service, host) = (service(world), world.host("a").await);
    let mut keys = Vec::new();
    for _ in 0..5 {
        let key = enqueue(&service, b"x").await;
        bury(&service, &host, &key).await;
        keys.push(key);
    }
    keys.sort();
    let dead = soon(service.dead_letters("t", Some(&keys[0].id), 2)).await.unwrap();
    assert_eq!(dead.iter().map(|entry| &entry.id).collect::<Vec<_>>(), [&keys[1].id, &keys[2].id]);
    assert_eq!((dead[0].state, dead[0].head.error.as_deref()), ("dead", Some("it is wrong")));

    assert_eq!(soon(service.purge("t", Some(&keys[0].id))).await.unwrap(), 1);
    assert_eq!(
        kind(soon(service.purge("t", Some(&keys[0].id))).await),
        CallQueueErrorKind::NotFound
    );
    assert_eq!(soon(service.replay("t", Some(&keys[1].id))).await.unwrap(), 1);
    assert_eq!(
        kind(soon(service.replay("t", Some(&keys[1].id))).await),
        CallQueueErrorKind::NotFound
    );
    assert_eq!(soon(service.replay("t", None)).await.unwrap(), 3);
    assert_eq!(soon(service.replay("t", None)).await.unwrap(), 0);
    let queued = WatchedQueue::of(&*service.call_queue).await.queued;
    assert!(queued.keys().eq(&keys[1..]), "{queued:?}");
    bury(&service, &host, &keys[1]).await;
    assert_eq!(soon(service.purge("t", None)).await.unwrap(), 1);
}
