//! What the observer's parts share.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::{Notify, watch};

use super::{last_look::LastLook, pool::PostgresPool};

/// What the observer's task shares with those who wait.
pub(super) struct ObserverState {
    pool: Arc<PostgresPool>,
    pub(super) wake: Notify,
    pub(super) last: watch::Sender<LastLook>,
    /// Whether notifications arrive.
    notified: AtomicBool,
}

impl ObserverState {
    pub(super) fn new(pool: Arc<PostgresPool>) -> Self {
        let (wake, last) = (Notify::new(), watch::Sender::default());
        Self { pool, wake, last, notified: AtomicBool::new(false) }
    }

    /// Has the observer look at once.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Notes whether notifications arrive.
    pub(super) fn set_notified(&self, notified: bool) {
        self.notified.store(notified, Ordering::Relaxed);
    }

    /// Whether notifications arrive.
    pub(super) fn is_notified(&self) -> bool {
        self.notified.load(Ordering::Relaxed)
    }

    /// The connections of the observer.
    pub(super) fn pool(&self) -> &Arc<PostgresPool> {
        &self.pool
    }
}
