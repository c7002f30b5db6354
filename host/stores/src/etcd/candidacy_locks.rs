//! One lock for each lease and group: the campaigns of a candidate follow each other.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use soloist_heart::{Group, LeaseId};

type CandidacyLock = Arc<tokio::sync::Mutex<()>>;

/// The candidacy locks of this process, by group and lease.
#[derive(Default)]
pub(super) struct CandidacyLocks(Mutex<HashMap<(Group, LeaseId), CandidacyLock>>);

impl CandidacyLocks {
    /// Waits for the lock of `lease` in `group`.
    pub(super) async fn acquire(&self, group: &Group, lease: LeaseId) -> OwnedMutexGuard<()> {
        self.lock_of(group, lease).lock_owned().await
    }

    fn lock_of(&self, group: &Group, lease: LeaseId) -> CandidacyLock {
        let mut locks = self.0.lock();
        // A lock that is held or waited for has another reference.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry((group.clone(), lease)).or_default().clone()
    }
}
