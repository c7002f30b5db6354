//! The state of actions, in the same database as the elections.
//!
//! The guard and the writes are one transaction, which locks the leader's candidate: leadership
//! cannot end between the check and the write. Whoever ends it waits for that transaction, which
//! the server ends if its host does not.
//!
//! Writes of one action follow one another; those of different actions, and elections, do not wait
//! for each other.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use tokio::time::timeout_at;
use tokio_postgres::{Row, types::Type};

use super::{
    calls::{PostgresCalls, PostgresWork, transact},
    fault::PostgresFault,
    transaction::PostgresTransaction,
};
use crate::{
    StateEntry, StateStore, StateWrite, StoreError, WriteGuard,
    keyed_locks::KeyedLocks,
    state_store::{
        LIST, MEASURE, READ, StateArea, StateGrowth, WRITE, check_keys, check_writes, too_many_keys,
    },
};

/// The state of one cluster's actions.
pub(super) struct PostgresStateStore {
    calls: PostgresCalls,
    /// Held by the writer of each action.
    locks: Arc<KeyedLocks<String>>,
    area: StateArea,
}

impl PostgresStateStore {
    pub(super) fn new(calls: PostgresCalls, area: StateArea) -> Arc<Self> {
        Arc::new(Self { calls, locks: Arc::default(), area })
    }
}

#[async_trait]
impl StateStore for PostgresStateStore {
    async fn get(
        &self,
        action: &str,
        keys: &[String],
    ) -> Result<Vec<Option<StateEntry>>, StoreError> {
        let action = self.area.checked_table_name(action)?;
        check_keys(keys.iter())?;
        let sql = "SELECT key, value, version FROM state
                   WHERE cluster = $1 AND action = $2 AND key = ANY ($3)";
        let named: Vec<_> = keys.iter().map(|key| key.as_bytes().to_vec()).collect();
        let read = self.calls.read(READ, sql, (action, named), |(action, keys)| {
            vec![(action, Type::TEXT), (keys, Type::BYTEA_ARRAY)]
        });
        let rows = read.await?;
        let mut entries = BTreeMap::new();
        for row in &rows {
            let entry = || -> Result<_, tokio_postgres::Error> {
                let value = Bytes::copy_from_slice(row.try_get(1)?);
                Ok((row.try_get::<_, &[u8]>(0)?, StateEntry { value, version: row.try_get(2)? }))
            };
            entries.extend([entry().map_err(|error| self.calls.error(READ, error.into()))?]);
        }
        Ok(keys.iter().map(|key| entries.get(key.as_bytes()).cloned()).collect())
    }

    async fn list(
        &self,
        action: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let (action, after) =
            (self.area.checked_table_name(action)?, after.unwrap_or_default().as_bytes().to_vec());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = "SELECT key FROM state
                   WHERE cluster = $1 AND action = $2 AND key > $3 ORDER BY key LIMIT $4";
        let list = self.calls.read(LIST, sql, (action, after, limit), |(action, after, limit)| {
            vec![(action, Type::TEXT), (after, Type::BYTEA), (limit, Type::INT8)]
        });
        let rows = list.await?;
        let key = |row: &Row| Ok(String::from_utf8_lossy(row.try_get(0)?).into_owned());
        let keys = rows.iter().map(key).collect::<Result<_, tokio_postgres::Error>>();
        keys.map_err(|error| self.calls.error(LIST, error.into()))
    }

    async fn size(&self, action: &str) -> Result<u64, StoreError> {
        let action = self.area.checked_table_name(action)?;
        let sql = "SELECT coalesce(sum(octet_length(key) + octet_length(value)), 0)::bigint
                   FROM state WHERE cluster = $1 AND action = $2";
        let read = self.calls.read(MEASURE, sql, (action,), |(action,)| vec![(action, Type::TEXT)]);
        let size = read.await?.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0));
        let size = size.map_err(|error| self.calls.error(MEASURE, error.into()))?;
        Ok(u64::try_from(size).unwrap_or_default())
    }

    async fn write(
        &self,
        guard: WriteGuard<'_>,
        action: &str,
        writes: &[StateWrite],
    ) -> Result<i64, StoreError> {
        let action = self.area.checked_table_name(action)?;
        check_writes(writes)?;
        let guard = match guard {
            WriteGuard::Leader(key) => Some(key.fencing_token.0),
            WriteGuard::Person => None,
        };
        let (locks, writes) = (Arc::clone(&self.locks), writes.to_vec());
        let write: PostgresWork<_, _> = |tx, (guard, action, writes): &(_, String, Vec<_>)| {
            ActionWrites { tx, action }.write(*guard, writes).boxed()
        };
        let write = |pool, until| async move {
            // The writers of one action take one connection together.
            let turn = timeout_at(until, locks.acquire(action.clone())).await;
            let _turn = turn.map_err(|_| PostgresFault::NoTurn)?;
            transact(&pool, until, &(guard, action, writes), write).await
        };
        self.calls.task(WRITE, write).await
    }
}

/// The writes to one action's state, in a transaction.
struct ActionWrites<'a> {
    tx: PostgresTransaction,
    action: &'a str,
}

impl ActionWrites<'_> {
    async fn write(
        mut self,
        guard: Option<i64>,
        writes: &[StateWrite],
    ) -> Result<i64, PostgresFault> {
        let version = self.next_version(guard).await?;
        let growth = self.check(writes).await?;
        let (puts, deletions): (Vec<_>, Vec<_>) =
            writes.iter().partition(|write| write.value.is_some());
        if !deletions.is_empty() {
            let keys: Vec<_> = deletions.iter().map(|write| write.key.as_bytes()).collect();
            let sql = "DELETE FROM state WHERE cluster = $1 AND action = $2 AND key = ANY ($3)";
            let params = [(&self.action as _, Type::TEXT), (&keys as _, Type::BYTEA_ARRAY)];
            self.tx.query(sql, &params).await?;
        }
        let keys: Vec<_> = puts.iter().map(|write| write.key.as_bytes()).collect();
        let values: Vec<_> = puts.iter().map(|write| write.value.as_deref()).collect();
        let sql = "INSERT INTO state (cluster, action, key, value, version)
                   SELECT $1, $2, key, value, $5
                   FROM unnest($3::bytea[], $4::bytea[]) AS put (key, value)
                   ON CONFLICT (cluster, action, key)
                   DO UPDATE SET value = excluded.value, version = excluded.version";
        let params = [
            (&self.action as _, Type::TEXT),
            (&keys as _, Type::BYTEA_ARRAY),
            (&values as _, Type::BYTEA_ARRAY),
            (&version as _, Type::INT8),
        ];
        if !growth.grows() {
            return self.tx.finish(sql, &params).await.map(|_| growth.bytes());
        }
        self.tx.query(sql, &params).await?;
        // Counting reads all keys of the action, so it is only done when needed.
        if growth.exceeds_with(self.key_count().await?) {
            return Err(PostgresFault::Limit(too_many_keys(self.action)));
        }
        self.tx.commit().await?;
        Ok(growth.bytes())
    }

    /// Locks the guard's key and the action's state, and returns the version of the writes.
    async fn next_version(&mut self, guard: Option<i64>) -> Result<i64, PostgresFault> {
        let sql = "WITH guard AS (SELECT FROM candidates
                                  WHERE cluster = $1 AND create_revision = $3 FOR KEY SHARE)
                   INSERT INTO state_versions (cluster, action, version)
                   SELECT $1, $2, 1 WHERE $3 IS NULL OR EXISTS (SELECT FROM guard)
                   ON CONFLICT (cluster, action)
                   DO UPDATE SET version = state_versions.version + 1
                   RETURNING version";
        let params = [(&self.action as _, Type::TEXT), (&guard as _, Type::INT8)];
        let row = self.tx.query_first(sql, &params).await?;
        Ok(row.ok_or(PostgresFault::NotLeader)?.try_get(0)?)
    }

    /// Checks that all keys have the versions that the writes require, and counts what is added.
    async fn check(&mut self, writes: &[StateWrite]) -> Result<StateGrowth, PostgresFault> {
        let keys: Vec<_> = writes.iter().map(|write| write.key.as_bytes()).collect();
        let sql = "SELECT key, version, octet_length(value) FROM state
                   WHERE cluster = $1 AND action = $2 AND key = ANY ($3)";
        let params = [(&self.action as _, Type::TEXT), (&keys as _, Type::BYTEA_ARRAY)];
        let rows = self.tx.query(sql, &params).await?;
        let found =
            rows.iter().map(|row| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?))));
        let found: BTreeMap<&[u8], (i64, i32)> =
            found.collect::<Result<_, tokio_postgres::Error>>()?;
        let mut growth = StateGrowth::default();
        for write in writes {
            let (version, length) = found.get(write.key.as_bytes()).copied().unzip();
            if write.only_if.is_some_and(|wanted| wanted != version.unwrap_or(0)) {
                return Err(PostgresFault::Conflict);
            }
            growth.count(write, length.map(|length| usize::try_from(length).unwrap_or_default()));
        }
        Ok(growth)
    }

    /// The number of keys that the action has.
    async fn key_count(&mut self) -> Result<usize, PostgresFault> {
        let sql = "SELECT count(*) FROM state WHERE cluster = $1 AND action = $2";
        let row = self.tx.query_first(sql, &[(&self.action as _, Type::TEXT)]).await?;
        let count: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }
}
