//! The properties of queued calls that every store must have.

pub(crate) mod rig;

use std::{collections::BTreeSet, time::Duration};

use futures::{StreamExt, future::join_all, stream};
use soloist_heart::clock::BootTime;
use soloist_stores::{
    ANSWER_MAX, CallClaimer, ERROR_MAX, PAYLOAD_MAX, QueuedCallKey, QueuedCallRetry,
    QueuedCallState, StoreError,
};

use self::rig::{CallQueueHost, KEEP, LIMIT, is_conflict, order};
pub(crate) use self::rig::{WatchedQueue, answer};
use crate::world::{World, soon};

pub(crate) async fn a_queued_call_is_done_step_by_step(world: &World) {
    let (caller, host) = (CallQueueHost::of(world, "a").await, CallQueueHost::of(world, "b").await);
    let key = QueuedCallKey::fresh("resize");
    let binary: Vec<u8> = (0..=255).collect();
    soon(caller.call_queue.put(&key, &order(binary.clone()), LIMIT)).await.unwrap();
    let Some(QueuedCallState::Queued(head)) = caller.look(&key).await else { panic!("not queued") };
    assert_eq!((head.attempts, head.max_attempts, head.bytes), (0, 3, 256));
    assert_eq!((head.by.as_deref(), head.content_type.as_deref()), (None, Some("text/plain")));

    let (claim, payload) = host.claim(&key).await.unwrap();
    assert_eq!((&*payload, claim.head.attempts), (&*binary, 1));
    assert_eq!(host.queue().await.claims, [(key.clone(), host.by.lease)].into());
    let Some(QueuedCallState::Claimed(head)) = caller.look(&key).await else {
        panic!("not claimed")
    };
    assert_eq!(head.by.as_deref(), Some("b"));

    soon(host.call_queue.complete(&claim, &answer(&b"\n\0answer"[..]), KEEP)).await.unwrap();
    let Some(QueuedCallState::Done(ended, found)) = caller.look(&key).await else {
        panic!("not done")
    };
    assert_eq!(found, answer(&b"\n\0answer"[..]));
    assert_eq!((ended.head.by.as_deref(), ended.head.attempts), (Some("b"), 1));
    let queue = host.queue().await;
    assert!(queue.queued.is_empty() && queue.claims.is_empty());
    assert_eq!(caller.look(&QueuedCallKey::fresh("resize")).await, None);
    // The call that put the queued call may be repeated, whatever its state is by now.
    soon(caller.call_queue.put(&key, &order("other"), LIMIT)).await.unwrap();
    assert!(matches!(caller.look(&key).await, Some(QueuedCallState::Done(..))));
}

pub(crate) async fn one_host_at_a_time_has_a_claim(world: &World) {
    let hosts = join_all(["a", "b", "c", "d"].map(|name| CallQueueHost::of(world, name))).await;
    for _ in 0..10 {
        let key = hosts[0].put("t").await;
        let seen = hosts[0].queue().await.queued.remove(&key).unwrap();
        let claims =
            join_all(hosts.iter().map(|host| host.call_queue.claim(&host.by, &seen))).await;
        let won = claims.into_iter().filter_map(Result::unwrap).count();
        assert_eq!(won, 1, "hosts at {key}");
    }
}

pub(crate) async fn a_claim_that_was_made_is_got_again(world: &World) {
    let (host, other) = (CallQueueHost::of(world, "a").await, CallQueueHost::of(world, "b").await);
    let key = host.put("t").await;
    let seen = host.queue().await.queued.remove(&key).unwrap();
    let first = soon(host.call_queue.claim(&host.by, &seen)).await.unwrap().unwrap();
    // This is what a host does after a lost answer.
    let again = soon(host.call_queue.claim(&host.by, &seen)).await.unwrap().unwrap();
    assert_eq!(first, again);
    let another = CallClaimer { ticket: 2, ..host.by.clone() };
    assert_eq!(soon(host.call_queue.claim(&another, &seen)).await.unwrap(), None);
    assert_eq!(soon(other.call_queue.claim(&other.by, &seen)).await.unwrap(), None);
    soon(host.call_queue.complete(&again.0, &answer("1"), KEEP)).await.unwrap();
    assert_eq!(soon(host.call_queue.claim(&host.by, &seen)).await.unwrap(), None);
}

pub(crate) async fn a_claim_goes_with_its_lease(world: &World) {
    let (host, other) = (CallQueueHost::of(world, "a").await, CallQueueHost::of(world, "b").await);
    let short = CallQueueHost::with(world, "c", world.short()).await;
    for (dies, revoked) in [(&host, true), (&short, false)] {
        let key = dies.put("t").await;
        let claim = dies.take(&key).await;
        let mut queue = other.queue().await;
        assert_eq!(queue.claims.get(&key), Some(&dies.by.lease));
        if revoked {
            soon(dies.store.revoke(dies.by.lease)).await.unwrap();
        }
        queue.until(|queue| !queue.claims.contains_key(&key)).await;
        assert_eq!(queue.queued[&key].head.attempts, 1, "the attempt counts");
        assert!(matches!(other.look(&key).await, Some(QueuedCallState::Queued(_))));
        let gone = soon(dies.call_queue.claim(&dies.by, &queue.queued[&key])).await;
        assert!(matches!(gone, Err(StoreError::LeaseGone)), "{gone:?}");
        // Another host takes the queued call over, and the first host's outcome is discarded.
        let retaken = other.take(&key).await;
        assert_eq!(retaken.head.attempts, 2);
        assert!(is_conflict(&soon(dies.call_queue.complete(&claim, &answer("late"), KEEP)).await));
        assert!(is_conflict(&soon(dies.call_queue.mark_dead(&claim, "late")).await));
        assert!(is_conflict(
            &soon(dies.call_queue.requeue(&claim, &QueuedCallRetry::default())).await
        ));
        soon(other.call_queue.complete(&retaken, &answer("other"), KEEP)).await.unwrap();
        let Some(QueuedCallState::Done(_, found)) = other.look(&key).await else {
            panic!("not done")
        };
        assert_eq!(found, answer("other"));
    }
}

pub(crate) async fn what_is_stale_is_not_claimed(world: &World) {
    let host = CallQueueHost::of(world, "a").await;
    let key = host.put("t").await;
    let seen = host.queue().await.queued.remove(&key).unwrap();
    let first = host.take(&key).await;
    soon(host.call_queue.requeue(&first, &QueuedCallRetry::default())).await.unwrap();
    let by = CallClaimer { ticket: 7, ..host.by.clone() };
    assert_eq!(soon(host.call_queue.claim(&by, &seen)).await.unwrap(), None, "of an earlier head");
    // The same host and the same lease, but another claim.
    let second = host.take(&key).await;
    assert!(is_conflict(&soon(host.call_queue.complete(&first, &answer("1"), KEEP)).await));
    soon(host.call_queue.complete(&second, &answer("2"), KEEP)).await.unwrap();
    assert!(is_conflict(&soon(host.call_queue.complete(&second, &answer("3"), KEEP)).await));
    let Some(QueuedCallState::Done(_, found)) = host.look(&key).await else { panic!("not done") };
    assert_eq!(found, answer("2"));
}

pub(crate) async fn attempts_are_counted_and_errors_kept(world: &World) {
    let host = CallQueueHost::of(world, "a").await;
    let key = host.put("t").await;
    let wait = Duration::from_millis(1500);
    let error = Some(format!("{}é", "e".repeat(ERROR_MAX)));
    let failed = QueuedCallRetry { wait, error, counted: true };
    let claim = host.take(&key).await;
    soon(host.call_queue.requeue(&claim, &failed)).await.unwrap();
    let head = host.queue().await.queued.remove(&key).unwrap().head;
    assert_eq!((head.attempts, head.wait), (1, 1500));
    assert_eq!(head.error.unwrap().len(), ERROR_MAX);
    soon(host.call_queue.requeue(&host.take(&key).await, &QueuedCallRetry::default()))
        .await
        .unwrap();
    let head = host.queue().await.queued.remove(&key).unwrap().head;
    assert_eq!((head.attempts, head.wait), (1, 0), "it was no attempt");
    for attempts in [2, 3, 3] {
        let claim = host.take(&key).await;
        assert_eq!(claim.head.attempts, attempts);
        let counted = QueuedCallRetry { counted: true, ..QueuedCallRetry::default() };
        soon(host.call_queue.requeue(&claim, &counted)).await.unwrap();
    }
    assert!(host.queue().await.queued[&key].head.is_spent());
}

pub(crate) async fn dead_letters_are_kept_replayed_and_purged(world: &World) {
    let host = CallQueueHost::of(world, "a").await;
    let mut dead = Vec::new();
    for _ in 0..4 {
        dead.push(host.kill("t").await);
    }
    dead.sort();
    let other = host.kill("t0").await;
    assert!(host.queue().await.queued.is_empty());
    assert_eq!(host.dead("t").await, dead);
    let page = soon(host.call_queue.dead_letters("t", Some(&dead[0].id), 2)).await.unwrap();
    assert_eq!(page.iter().map(|(key, _)| key).collect::<Vec<_>>(), [&dead[1], &dead[2]]);
    assert_eq!(page[0].1.head.error.as_deref(), Some("dead"));
    assert!(matches!(host.look(&dead[0]).await, Some(QueuedCallState::Dead(_))));

    assert!(soon(host.call_queue.replay(&dead[0])).await.unwrap());
    assert!(!soon(host.call_queue.replay(&dead[0])).await.unwrap(), "it is not dead any more");
    let (claim, payload) = host.claim(&dead[0]).await.unwrap();
    assert_eq!((&*payload, claim.head.attempts), (&b"payload"[..], 1));
    soon(host.call_queue.complete(&claim, &answer("1"), KEEP)).await.unwrap();

    assert!(soon(host.call_queue.purge(&dead[1])).await.unwrap());
    assert!(!soon(host.call_queue.purge(&dead[1])).await.unwrap());
    assert!(!soon(host.call_queue.purge(&dead[0])).await.unwrap(), "a result is no dead letter");
    assert_eq!(host.look(&dead[1]).await, None);
    assert_eq!(soon(host.call_queue.purge_all("t")).await.unwrap(), 2);
    assert_eq!(soon(host.call_queue.purge_all("t")).await.unwrap(), 0);
    assert_eq!(host.dead("t").await, []);
    assert_eq!(host.dead("t0").await, [other]);
}

pub(crate) async fn many_dead_letters_are_purged(world: &World) {
    let host = CallQueueHost::of(world, "a").await;
    // Put one after the other, since a slow disk would not do all of them in time.
    let mut keys = Vec::new();
    for _ in 0..120 {
        keys.push(host.put("t").await);
    }
    let queue = host.queue().await;
    assert_eq!(queue.queued.len(), 120);
    for (i, key) in keys.iter().enumerate() {
        let by = CallClaimer { ticket: i as u64, ..host.by.clone() };
        let claim = soon(host.call_queue.claim(&by, &queue.queued[key])).await.unwrap().unwrap().0;
        soon(host.call_queue.mark_dead(&claim, "dead")).await.unwrap();
    }
    assert_eq!(host.dead("t").await.len(), 120);
    assert_eq!(soon(host.call_queue.purge_all("t")).await.unwrap(), 120);
    assert_eq!(host.dead("t").await, []);
}

pub(crate) async fn answers_expire_and_not_too_early(world: &World) {
    let host = CallQueueHost::of(world, "a").await;
    let keep = Duration::from_secs(2);
    let (first, second) = (host.put("t").await, host.put("t").await);
    let began = BootTime::now();
    soon(host.call_queue.complete(&host.take(&first).await, &answer("1"), keep)).await.unwrap();
    soon(host.call_queue.complete(&host.take(&second).await, &answer("2"), KEEP)).await.unwrap();
    while host.look(&first).await.is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(BootTime::now().since(began) < Duration::from_secs(20), "it never expires");
    }
    assert!(BootTime::now().since(began) >= keep, "it expired early");
    assert!(host.look(&second).await.is_some(), "it has a time of its own");
}

pub(crate) async fn the_answers_of_the_oldest_queued_calls_go_first(world: &World) {
    const MOST: usize = 10_000;
    let host = CallQueueHost::of(world, "a").await;
    let last = host.put("t").await;
    let claim = host.take(&last).await;
    // These ids sort before those of any queued call made now.
    let old: Vec<_> = (0..=MOST).map(|i| QueuedCallKey::new("t", format!("0-{i:05}"))).collect();
    world.write_answers(&old).await;
    assert!(matches!(host.look(&old[0]).await, Some(QueuedCallState::Done(..))));
    soon(host.call_queue.complete(&claim, &answer("1"), KEEP)).await.unwrap();
    // There were two answers too many.
    assert_eq!(host.look(&old[0]).await, None);
    assert_eq!(host.look(&old[1]).await, None);
    assert!(matches!(host.look(&old[2]).await, Some(QueuedCallState::Done(..))));
    assert!(matches!(host.look(&last).await, Some(QueuedCallState::Done(..))));
}

pub(crate) async fn a_full_queue_takes_no_more(world: &World) {
    let host = CallQueueHost::of(world, "a").await;
    let told = |answer: Result<(), StoreError>| match answer {
        Err(StoreError::Limit(problem)) => problem,
        other => panic!("no limit: {other:?}"),
    };
    let put = async |task: &str| {
        soon(host.call_queue.put(&QueuedCallKey::fresh(task), &order(""), 3)).await
    };
    host.kill("t").await;
    let first = host.put("t").await;
    put("t").await.unwrap();
    let problem = told(put("t").await);
    assert!(
        problem.contains("t has 2 queued calls to do and 1 dead letters, 3 together"),
        "{problem}"
    );
    put("t0").await.unwrap();
    // A claimed queued call still counts.
    let claim = host.take(&first).await;
    told(put("t").await);
    soon(host.call_queue.complete(&claim, &answer(""), KEEP)).await.unwrap();
    put("t").await.unwrap();
    told(put("t").await);
    soon(host.call_queue.purge_all("t")).await.unwrap();
    put("t").await.unwrap();

    let large = order(vec![0; PAYLOAD_MAX + 1]);
    told(soon(host.call_queue.put(&QueuedCallKey::fresh("l"), &large, 3)).await);
    assert_eq!(host.queue().await.queued.keys().filter(|key| *key.task == *"l").count(), 0);
    let key = QueuedCallKey::fresh("l");
    soon(host.call_queue.put(&key, &order(vec![7; PAYLOAD_MAX]), 3)).await.unwrap();
    let (claim, payload) = host.claim(&key).await.unwrap();
    assert_eq!(payload, vec![7; PAYLOAD_MAX]);
    told(soon(host.call_queue.complete(&claim, &answer(vec![0; ANSWER_MAX + 1]), KEEP)).await);
    soon(host.call_queue.complete(&claim, &answer(vec![1; ANSWER_MAX]), KEEP)).await.unwrap();
    let Some(QueuedCallState::Done(_, found)) = host.look(&key).await else { panic!("not done") };
    assert_eq!(found.payload, vec![1; ANSWER_MAX]);
}

pub(crate) async fn the_queue_is_followed_change_by_change(world: &World) {
    let hosts = join_all(["a", "b", "c"].map(|name| CallQueueHost::of(world, name))).await;
    let mut follower = hosts[0].queue().await;
    let work = async |host: &CallQueueHost, seed: u64| {
        let mut random = fastrand::Rng::with_seed(seed);
        for ticket in 0..25 {
            let key = host.put(["t", "u"][random.usize(..2)]).await;
            let seen = host.queue().await.queued.remove(&key);
            let by = CallClaimer { ticket, ..host.by.clone() };
            let Some(seen) = seen else { panic!("{key} is not queued") };
            let (claim, _) = soon(host.call_queue.claim(&by, &seen)).await.unwrap().unwrap();
            let counted = QueuedCallRetry { counted: true, ..QueuedCallRetry::default() };
            match random.u8(..5) {
                0 => soon(host.call_queue.complete(&claim, &answer(""), KEEP)).await.unwrap(),
                1 => soon(host.call_queue.requeue(&claim, &counted)).await.unwrap(),
                2 => soon(host.call_queue.mark_dead(&claim, "no")).await.unwrap(),
                3 => {
                    soon(host.call_queue.mark_dead(&claim, "no")).await.unwrap();
                    assert!(soon(host.call_queue.replay(&key)).await.unwrap());
                }
                _ => {}
            }
        }
    };
    let works = hosts.iter().zip(1..).map(|(host, seed)| work(host, seed));
    join_all(works).await;
    soon(hosts[1].store.revoke(hosts[1].by.lease)).await.unwrap();
    let after = hosts[2].put("last").await;
    follower.until(|queue| queue.queued.contains_key(&after)).await;
    let mut fresh = hosts[2].queue().await;
    fresh.until(|queue| queue.claims.values().all(|lease| *lease != hosts[1].by.lease)).await;
    let fresh = hosts[2].queue().await;
    follower.until(|queue| queue.shows_the_same(&fresh)).await;
    assert!(!fresh.claims.is_empty() && fresh.queued.len() > 10);
}

pub(crate) async fn what_is_purged_between_two_looks_has_left(world: &World) {
    let host = CallQueueHost::of(world, "a").await;
    let gone = host.put("t").await;
    let mut follower = host.queue().await;
    assert!(follower.queued.contains_key(&gone));
    // A watch is only read when it is polled, so it sees nothing in between.
    soon(host.call_queue.mark_dead(&host.take(&gone).await, "no")).await.unwrap();
    assert!(soon(host.call_queue.purge(&gone)).await.unwrap());
    let last = host.put("t").await;
    follower.until(|queue| queue.queued.contains_key(&last)).await;
    assert!(follower.queued.keys().eq([&last]) && follower.claims.is_empty());
}

pub(crate) async fn a_long_queue_is_whole(world: &World) {
    let host = CallQueueHost::of(world, "a").await;
    // A store that makes one write at a time could not do all of them at once in time.
    let puts = stream::iter(0..1100).map(|_| host.put("t")).buffer_unordered(20);
    let keys: BTreeSet<_> = puts.collect().await;
    assert!(host.queue().await.queued.keys().eq(&keys));
}

pub(crate) async fn clusters_and_tasks_keep_apart(world: &World) {
    let host = CallQueueHost::of(world, "a").await;
    let other = world.open_cluster("testing").call_queue().unwrap();
    let key = host.put("t").await;
    assert_eq!(soon(other.state(&key)).await.unwrap(), None);
    assert!(WatchedQueue::of(&*other).await.queued.is_empty());
    assert_eq!(host.look(&QueuedCallKey::new("t0", &*key.id)).await, None);
    for bad in [
        QueuedCallKey::new("a/b", "1"),
        QueuedCallKey::new("", "1"),
        QueuedCallKey::new("t", "1/2"),
    ] {
        let refused = soon(host.call_queue.put(&bad, &order(""), LIMIT)).await.unwrap_err();
        assert!(refused.to_string().contains("name"), "{refused}");
        soon(host.call_queue.state(&bad)).await.unwrap_err();
    }
}

pub(crate) async fn the_roster_does_not_show_queued_calls(world: &World) {
    let host = world.host("a").await;
    let mut rosters = soon(host.store.watch()).await.unwrap();
    soon(rosters.next()).await.unwrap().unwrap();
    let news = tokio::spawn(async move {
        let mut items = 0;
        while rosters.next().await.expect("a roster").unwrap().members.is_empty() {
            items += 1;
        }
        items
    });
    let own = CallQueueHost::of(world, "b").await;
    for _ in 0..20 {
        let key = own.put("t").await;
        soon(own.call_queue.mark_dead(&own.take(&key).await, "no")).await.unwrap();
        assert!(soon(own.call_queue.purge(&key)).await.unwrap());
    }
    // The watch must report this.
    soon(host.store.join(host.lease, &host.member())).await.unwrap();
    assert_eq!(soon(news).await.unwrap(), 0, "queued calls were told as news of the cluster");
}

/// The timing is generous: each renewal has as much time as with the default TTL.
pub(crate) async fn a_flood_of_queued_calls_holds_up_no_renewal(world: &World) {
    let (host, other) = (CallQueueHost::of(world, "a").await, CallQueueHost::of(world, "b").await);
    let mut flood = tokio::task::JoinSet::new();
    for i in 0..40 {
        let call_queue = [&host, &other][i % 2].call_queue.clone();
        flood.spawn(async move {
            loop {
                let key = QueuedCallKey::fresh(i.to_string());
                // Some of these calls are refused; only the renewals matter here.
                let _ = call_queue.put(&key, &order(vec![0; PAYLOAD_MAX / 16]), 20).await;
            }
        });
    }
    let mut worst = Duration::ZERO;
    for i in 0..40 {
        let asked = BootTime::now();
        let renewed = tokio::time::timeout(Duration::from_secs(1), host.store.renew(host.by.lease));
        let renewed = renewed.await;
        assert!(matches!(renewed, Ok(Ok(_))), "renewal {i}: {renewed:?}");
        worst = worst.max(BootTime::now().since(asked));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("the slowest of 40 renewals took {worst:?}");
    assert!(flood.try_join_next().is_none(), "the flood ended");
}
