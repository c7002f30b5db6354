//! Reading and writing the state of actions in tests.

use std::sync::Arc;

use bytes::Bytes;
use soloist_stores::{StateEntry, StateStore, StateWrite, StoreError, WriteGuard};

use crate::world::{World, soon};

pub(crate) fn put(key: &str, value: impl Into<Bytes>) -> StateWrite {
    StateWrite { key: key.into(), value: Some(value.into()), only_if: None }
}

pub(crate) fn delete(key: &str) -> StateWrite {
    StateWrite { key: key.into(), value: None, only_if: None }
}

pub(crate) fn only_if(version: i64, write: StateWrite) -> StateWrite {
    StateWrite { only_if: Some(version), ..write }
}

/// The state of one cluster, used as a person.
pub(crate) struct TestState(pub(crate) Arc<dyn StateStore>);

impl TestState {
    pub(crate) fn of(world: &World) -> Self {
        Self(world.open().state().unwrap())
    }

    pub(crate) async fn write(
        &self,
        action: &str,
        writes: &[StateWrite],
    ) -> Result<i64, StoreError> {
        soon(self.0.write(WriteGuard::Person, action, writes)).await
    }

    pub(crate) async fn get(&self, action: &str, key: &str) -> Option<StateEntry> {
        let mut found = soon(self.0.get(action, &[key.to_owned()])).await.unwrap();
        assert_eq!(found.len(), 1);
        found.remove(0)
    }

    pub(crate) async fn value(&self, action: &str, key: &str) -> Option<Bytes> {
        Some(self.get(action, key).await?.value)
    }

    pub(crate) async fn version(&self, action: &str, key: &str) -> i64 {
        self.get(action, key).await.map_or(0, |entry| entry.version)
    }

    pub(crate) async fn list(&self, action: &str) -> Vec<String> {
        soon(self.0.list(action, None, 20_000)).await.unwrap()
    }
}
