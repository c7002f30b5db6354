//! Hosts that put and claim casts by hand, and what they see of the queue.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use soloist_heart::LeaseId;
use soloist_stores::{
    CastAnswer, CastChange, CastClaimer, CastKey, CastRequest, CastState, CastStore, CastStream,
    Claim, QueuedCast, Store, StoreError,
};

use crate::world::{LONG, World, soon};

pub(super) const KEEP: Duration = Duration::from_secs(60);
pub(super) const LIMIT: usize = 10_000;

pub(crate) fn order(payload: impl Into<Bytes>) -> CastRequest {
    let content_type = Some("text/plain".into());
    CastRequest { payload: payload.into(), content_type, max_attempts: 3 }
}

pub(crate) fn answer(payload: impl Into<Bytes>) -> CastAnswer {
    CastAnswer { payload: payload.into(), content_type: Some("text/html".into()) }
}

/// A host that uses casts, with a session that nobody renews.
pub(super) struct CastHost {
    pub(super) store: Arc<dyn Store>,
    pub(super) casts: Arc<dyn CastStore>,
    pub(super) by: CastClaimer,
}

impl CastHost {
    pub(super) async fn of(world: &World, name: &str) -> Self {
        Self::with(world, name, LONG).await
    }

    pub(super) async fn with(world: &World, name: &str, ttl: Duration) -> Self {
        let host = world.host_with(name, ttl).await;
        let by = CastClaimer { lease: host.lease, host: name.into(), ticket: 1 };
        Self { casts: host.store.casts().unwrap(), store: host.store, by }
    }

    pub(super) async fn put(&self, task: &str) -> CastKey {
        let key = CastKey::fresh(task);
        soon(self.casts.put(&key, &order("payload"), LIMIT)).await.unwrap();
        key
    }

    /// The current state of the queue.
    pub(super) async fn queue(&self) -> CastQueue {
        CastQueue::of(&*self.casts).await
    }

    /// Claims a cast in its current state.
    pub(super) async fn claim(&self, key: &CastKey) -> Option<(Claim, Bytes)> {
        let seen = self.queue().await.casts.remove(key)?;
        soon(self.casts.claim(&self.by, &seen)).await.unwrap()
    }

    pub(super) async fn take(&self, key: &CastKey) -> Claim {
        self.claim(key).await.expect("a claim").0
    }

    pub(super) async fn look(&self, key: &CastKey) -> Option<CastState> {
        soon(self.casts.state(key)).await.unwrap()
    }

    /// Makes a cast of this task and turns it into a dead letter.
    pub(super) async fn kill(&self, task: &str) -> CastKey {
        let key = self.put(task).await;
        soon(self.casts.mark_dead(&self.take(&key).await, "dead")).await.unwrap();
        key
    }

    pub(super) async fn dead(&self, task: &str) -> Vec<CastKey> {
        let dead = soon(self.casts.dead_letters(task, None, LIMIT)).await.unwrap();
        dead.into_iter().map(|(key, _)| key).collect()
    }
}

/// The state of the queue according to a watch.
pub(crate) struct CastQueue {
    pub(super) watch: CastStream,
    pub(crate) casts: BTreeMap<CastKey, QueuedCast>,
    pub(super) claims: BTreeMap<CastKey, LeaseId>,
}

impl CastQueue {
    pub(crate) async fn of(casts: &dyn CastStore) -> Self {
        let watch = soon(casts.watch()).await.unwrap();
        let mut queue = Self { watch, casts: BTreeMap::new(), claims: BTreeMap::new() };
        queue.next().await;
        queue
    }

    pub(super) async fn next(&mut self) {
        for change in soon(self.watch.next()).await.expect("the queue").unwrap() {
            match change {
                CastChange::Queued(queued) => drop(self.casts.insert(queued.key.clone(), queued)),
                CastChange::Left(key) => drop(self.casts.remove(&key)),
                CastChange::Claimed(key, lease) => drop(self.claims.insert(key, lease)),
                CastChange::Free(key) => drop(self.claims.remove(&key)),
            }
        }
    }

    pub(super) async fn until(&mut self, is_it: impl Fn(&Self) -> bool) {
        while !is_it(self) {
            self.next().await;
        }
    }

    pub(super) fn shows_the_same(&self, other: &Self) -> bool {
        self.casts == other.casts && self.claims == other.claims
    }
}

pub(super) fn is_conflict(answer: &Result<(), StoreError>) -> bool {
    matches!(answer, Err(StoreError::Conflict))
}
