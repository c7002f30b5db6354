//! One lock for each key: what concerns the same thing follows one another, such as the campaigns
//! of one candidate.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

type SharedLock = Arc<tokio::sync::Mutex<()>>;

/// The locks of this process, by key.
pub(super) struct KeyedLocks<K>(Mutex<HashMap<K, SharedLock>>);

impl<K> Default for KeyedLocks<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> KeyedLocks<K> {
    /// Waits for the lock of `key`.
    pub(super) async fn acquire(&self, key: K) -> OwnedMutexGuard<()> {
        self.lock_of(key).lock_owned().await
    }

    fn lock_of(&self, key: K) -> SharedLock {
        let mut locks = self.0.lock();
        // A lock that is held or waited for has another reference.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(key).or_default().clone()
    }
}
