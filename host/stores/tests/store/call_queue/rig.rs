//! Hosts that put and claim queued calls by hand, and what they see of the queue.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use soloist_heart::LeaseId;
use soloist_stores::{
    CallClaimer, CallQueueChange, CallQueueStore, CallQueueStream, Claim, QueuedCallKey,
    QueuedCallRequest, QueuedCallResult, QueuedCallState, Store, StoreError, WaitingCall,
};

use crate::world::{LONG, World, soon};

pub(crate) const KEEP: Duration = Duration::from_secs(60);
pub(crate) const LIMIT: usize = 10_000;

pub(crate) fn order(payload: impl Into<Bytes>) -> QueuedCallRequest {
    let content_type = Some("text/plain".into());
    QueuedCallRequest { payload: payload.into(), content_type, max_attempts: 3 }
}

pub(crate) fn answer(payload: impl Into<Bytes>) -> QueuedCallResult {
    QueuedCallResult { payload: payload.into(), content_type: Some("text/html".into()) }
}

/// A host that uses queued calls, with a session that nobody renews.
pub(crate) struct CallQueueHost {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) call_queue: Arc<dyn CallQueueStore>,
    pub(crate) by: CallClaimer,
}

impl CallQueueHost {
    pub(crate) async fn of(world: &World, name: &str) -> Self {
        Self::with(world, name, LONG).await
    }

    pub(crate) async fn with(world: &World, name: &str, ttl: Duration) -> Self {
        let host = world.host_with(name, ttl).await;
        let by = CallClaimer { lease: host.lease, host: name.into(), ticket: 1 };
        Self { call_queue: host.store.call_queue().unwrap(), store: host.store, by }
    }

    pub(crate) async fn put(&self, task: &str) -> QueuedCallKey {
        let key = QueuedCallKey::fresh(task);
        soon(self.call_queue.put(&key, &order("payload"), LIMIT)).await.unwrap();
        key
    }

    /// The current state of the queue.
    pub(crate) async fn queue(&self) -> WatchedQueue {
        WatchedQueue::of(&*self.call_queue).await
    }

    /// Claims a queued call in its current state.
    pub(crate) async fn claim(&self, key: &QueuedCallKey) -> Option<(Claim, Bytes)> {
        let seen = self.queue().await.queued.remove(key)?;
        soon(self.call_queue.claim(&self.by, &seen)).await.unwrap()
    }

    pub(crate) async fn take(&self, key: &QueuedCallKey) -> Claim {
        self.claim(key).await.expect("a claim").0
    }

    pub(crate) async fn look(&self, key: &QueuedCallKey) -> Option<QueuedCallState> {
        soon(self.call_queue.state(key)).await.unwrap()
    }

    /// Makes a queued call of this task and turns it into a dead letter.
    pub(crate) async fn kill(&self, task: &str) -> QueuedCallKey {
        let key = self.put(task).await;
        soon(self.call_queue.mark_dead(&self.take(&key).await, "dead")).await.unwrap();
        key
    }

    pub(crate) async fn dead(&self, task: &str) -> Vec<QueuedCallKey> {
        let dead = soon(self.call_queue.dead_letters(task, None, LIMIT)).await.unwrap();
        dead.into_iter().map(|(key, _)| key).collect()
    }
}

/// The state of the queue according to a watch.
pub(crate) struct WatchedQueue {
    pub(crate) watch: CallQueueStream,
    pub(crate) queued: BTreeMap<QueuedCallKey, WaitingCall>,
    pub(crate) claims: BTreeMap<QueuedCallKey, LeaseId>,
}

impl WatchedQueue {
    pub(crate) async fn of(call_queue: &dyn CallQueueStore) -> Self {
        let watch = soon(call_queue.watch()).await.unwrap();
        let mut queue = Self { watch, queued: BTreeMap::new(), claims: BTreeMap::new() };
        queue.next().await;
        queue
    }

    pub(crate) async fn next(&mut self) {
        for change in soon(self.watch.next()).await.expect("the queue").unwrap() {
            match change {
                CallQueueChange::Queued(queued) => {
                    drop(self.queued.insert(queued.key.clone(), queued))
                }
                CallQueueChange::Left(key) => drop(self.queued.remove(&key)),
                CallQueueChange::Claimed(key, lease) => drop(self.claims.insert(key, lease)),
                CallQueueChange::Free(key) => drop(self.claims.remove(&key)),
            }
        }
    }

    pub(crate) async fn until(&mut self, is_it: impl Fn(&Self) -> bool) {
        while !is_it(self) {
            self.next().await;
        }
    }

    pub(crate) fn shows_the_same(&self, other: &Self) -> bool {
        self.queued == other.queued && self.claims == other.claims
    }
}

pub(crate) fn is_conflict(answer: &Result<(), StoreError>) -> bool {
    matches!(answer, Err(StoreError::Conflict))
}
