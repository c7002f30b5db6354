//! A store that loses answers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use soloist_stores::{StateEntry, StateStore, StateWrite, StoreError, WriteGuard};

/// A store that loses answers: of three writes, the first is lost, the second is made but its
/// answer is lost, and the third succeeds.
pub(super) struct LossyState {
    store: Arc<dyn StateStore>,
    writes: AtomicUsize,
}

#[async_trait]
impl StateStore for LossyState {
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
        all: &[StateWrite],
    ) -> Result<i64, StoreError> {
        let lost = || StoreError::Unavailable {
            attempted: "write state",
            store: "a lossy one".into(),
            source: "no answer".into(),
        };
        match self.writes.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => Err(lost()),
            1 => self.store.write(guard, action, all).await.and(Err(lost())),
            _ => self.store.write(guard, action, all).await,
        }
    }
}

impl LossyState {
    pub(super) fn new(store: Arc<dyn StateStore>) -> Self {
        Self { store, writes: AtomicUsize::new(0) }
    }
}
