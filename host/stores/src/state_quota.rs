//! Quotas: how much each action may keep in the store that all share.
//!
//! A full store serves nobody, whichever action has filled it. So an action's state is measured once
//! in each term, and counted from then on with what every write says that it has added. Writes that
//! do not add anything are never refused: what is full can be changed and deleted.
//!
//! The count may be wrong by what people write through other hosts at the same time. It is measured
//! again before a write is refused, but not more often than [`FRESH`], since etcd has to read all
//! values for that.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    error::StoreError,
    keyed_locks::KeyedLocks,
    state_store::{StateEntry, StateGrowth, StateStore, StateWrite, WriteGuard, check_writes},
};
use soloist_heart::FencingToken;
use soloist_telemetry::measure;

/// How long a size that was measured is used for writes by people, and for refusals.
const FRESH: Duration = Duration::from_secs(10);

/// The quota of an action, in bytes of its keys and values.
pub type QuotaOf = dyn Fn(&str) -> u64 + Send + Sync;

/// The state of a cluster's actions, each within its quota.
pub struct StateQuota {
    store: Arc<dyn StateStore>,
    quota: Box<QuotaOf>,
    sizes: Mutex<HashMap<String, CountedSize>>,
    /// Held while an action's state is measured.
    measuring: KeyedLocks<String>,
}

/// What an action keeps, as far as this host knows.
#[derive(Clone, Copy, Debug)]
struct CountedSize {
    /// In bytes, with what the writes under way may add.
    bytes: i64,
    measured: Instant,
    /// The term of this host in which it was measured first, if it was: later writes of that term
    /// were counted.
    term: Option<FencingToken>,
}

impl CountedSize {
    fn is_fresh(&self) -> bool {
        self.measured.elapsed() < FRESH
    }

    /// Whether a write under `guard` may rely on it. In another term, other hosts have written.
    fn holds_for(&self, guard: WriteGuard<'_>) -> bool {
        match guard {
            WriteGuard::Leader(key) => self.term == Some(key.fencing_token),
            WriteGuard::Person => self.is_fresh(),
        }
    }
}

impl StateQuota {
    /// The state in `store`, of which each action may keep its `quota`.
    pub fn new(store: Arc<dyn StateStore>, quota: Box<QuotaOf>) -> Self {
        Self { store, quota, sizes: Mutex::default(), measuring: KeyedLocks::default() }
    }

    /// How much an action may keep, in bytes of its keys and values.
    pub fn quota(&self, action: &str) -> u64 {
        (self.quota)(action)
    }

    /// What an action keeps, in bytes of its keys and values, as counted within the last seconds.
    ///
    /// # Errors
    /// Those of [`StateStore::size`].
    pub async fn kept(&self, action: &str) -> Result<u64, StoreError> {
        let counted = self.counted(WriteGuard::Person, action).await?;
        Ok(u64::try_from(counted.bytes).unwrap_or_default())
    }

    /// Counts what `writes` may add, before they are made.
    async fn reserve<'a>(
        &'a self,
        guard: WriteGuard<'_>,
        action: &'a str,
        writes: &[StateWrite],
    ) -> Result<Reservation<'a>, StoreError> {
        let mut counted = self.counted(guard, action).await?;
        // At first as if all keys were new.
        let most = growth(writes, |_| None);
        if let Some(reservation) = self.add_within_quota(action, most) {
            return Ok(reservation);
        }
        let exact = self.exact_growth(action, writes).await?;
        loop {
            if let Some(reservation) = self.add_within_quota(action, exact) {
                return Ok(reservation);
            }
            if counted.is_fresh() {
                return Err(StoreError::Limit(self.refusal(action, exact)));
            }
            counted = self.measure(guard, action).await?;
        }
    }

    /// By how many bytes the state will grow, given what the keys hold now.
    async fn exact_growth(&self, action: &str, writes: &[StateWrite]) -> Result<i64, StoreError> {
        let keys: Vec<_> = writes.iter().map(|write| write.key.clone()).collect();
        let found = self.store.get(action, &keys).await?;
        Ok(growth(writes, |index| Some(found.get(index)?.as_ref()?.value.len())))
    }

    /// What is counted for an action, measured first where that is needed.
    async fn counted(
        &self,
        guard: WriteGuard<'_>,
        action: &str,
    ) -> Result<CountedSize, StoreError> {
        let counted = || self.sizes.lock().get(action).copied().filter(|it| it.holds_for(guard));
        if let Some(counted) = counted() {
            return Ok(counted);
        }
        let _turn = self.measuring.acquire(action.to_owned()).await;
        match counted() {
            Some(counted) => Ok(counted),
            None => self.measure(guard, action).await,
        }
    }

    async fn measure(
        &self,
        guard: WriteGuard<'_>,
        action: &str,
    ) -> Result<CountedSize, StoreError> {
        let measured = Instant::now();
        let bytes = signed(self.store.size(action).await?);
        let mut sizes = self.sizes.lock();
        let term = match guard {
            WriteGuard::Leader(key) => Some(key.fencing_token),
            WriteGuard::Person => sizes.get(action).and_then(|before| before.term),
        };
        let counted = CountedSize { bytes, measured, term };
        sizes.insert(action.to_owned(), counted);
        drop(sizes);
        measure::state_size(action, counted.bytes);
        Ok(counted)
    }

    /// Counts `bytes` more, unless the state would grow beyond its quota.
    fn add_within_quota<'a>(&'a self, action: &'a str, bytes: i64) -> Option<Reservation<'a>> {
        let quota = signed(self.quota(action));
        let mut sizes = self.sizes.lock();
        let kept = sizes.get_mut(action).map(|counted| &mut counted.bytes);
        if let Some(kept) = kept {
            let sum = kept.saturating_add(bytes);
            if bytes > 0 && sum > quota {
                return None;
            }
            *kept = sum;
        }
        Some(Reservation { quota: self, action, bytes })
    }

    fn refusal(&self, action: &str, adds: i64) -> String {
        let kept = self.sizes.lock().get(action).map_or(0, |counted| counted.bytes);
        format!(
            "{action} may keep {} bytes of state, it has {kept}, and this would add {adds}: delete \
             some, or raise `max_state_size` in its settings",
            self.quota(action)
        )
    }
}

/// What is counted for a write under way. If nobody says how the write went, the state is measured
/// again before the next one.
struct Reservation<'a> {
    quota: &'a StateQuota,
    action: &'a str,
    bytes: i64,
}

impl Reservation<'_> {
    /// Corrects the count: the write has `added` this.
    fn settle(self, added: i64) {
        if let Some(counted) = self.quota.sizes.lock().get_mut(self.action) {
            counted.bytes = counted.bytes.saturating_add(added - self.bytes);
            measure::state_size(self.action, counted.bytes);
        }
        std::mem::forget(self);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.quota.sizes.lock().remove(self.action);
    }
}

/// By how many bytes `writes` let the state grow, given the lengths of the values before.
fn growth(writes: &[StateWrite], before: impl Fn(usize) -> Option<usize>) -> i64 {
    let mut growth = StateGrowth::default();
    for (index, write) in writes.iter().enumerate() {
        growth.count(write, before(index));
    }
    growth.bytes()
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[async_trait]
impl StateStore for StateQuota {
    async fn get(
        &self,
        action: &str,
        keys: &[String],
    ) -> Result<Vec<Option<StateEntry>>, StoreError> {
        self.store.get(action, keys).await
    }

    async fn list(
        &self,
        action: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.store.list(action, after, limit).await
    }

    async fn size(&self, action: &str) -> Result<u64, StoreError> {
        self.store.size(action).await
    }

    async fn write(
        &self,
        guard: WriteGuard<'_>,
        action: &str,
        writes: &[StateWrite],
    ) -> Result<i64, StoreError> {
        check_writes(writes)?;
        let reservation = self.reserve(guard, action, writes).await?;
        let done = self.store.write(guard, action, writes).await;
        match &done {
            Ok(added) => reservation.settle(*added),
            // It may have been made.
            Err(StoreError::Unavailable { .. }) => drop(reservation),
            Err(_) => reservation.settle(0),
        }
        done
    }
}

#[cfg(test)]
mod tests;
