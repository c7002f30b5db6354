//! The state of actions, stored in the same file as the elections.
//!
//! The guard and the writes are one transaction, so a leader that was replaced finds its candidate
//! gone when it gets the lock for its write.
//!
//! Invariant: state never starves a renewal. Reads have a connection of their own, and writes take
//! turns (`write_queue.rs`).

use super::{
    WorkerCalls,
    file::SqliteFile,
    reader::SqliteReader,
    reads::{self, CandidatePosition},
    sqlite_fault::SqliteFault,
};
use crate::{
    StateEntry, StateStore, StateWrite, StoreError, WriteGuard,
    state_store::{
        LIST, MEASURE, READ, StateArea, StateGrowth, WRITE, check_keys, check_writes, too_many_keys,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{OptionalExtension, Row, ToSql, Transaction, params};
use soloist_heart::FencingToken;

/// The state of one cluster's actions.
pub(super) struct SqliteStateStore {
    calls: WorkerCalls,
    reader: SqliteReader,
    area: StateArea,
}

impl SqliteStateStore {
    /// # Errors
    /// [`StoreError::Refused`] outside a tokio runtime.
    pub(super) fn new(calls: WorkerCalls, area: StateArea) -> Result<Self, StoreError> {
        Ok(Self { reader: SqliteReader::new(&calls)?, calls, area })
    }
}

#[async_trait]
impl StateStore for SqliteStateStore {
    async fn get(
        &self,
        action: &str,
        keys: &[String],
    ) -> Result<Vec<Option<StateEntry>>, StoreError> {
        let action = self.area.checked_table_name(action)?;
        check_keys(keys.iter())?;
        let keys = keys.to_vec();
        let get = move |tx: &Transaction<'_>, cluster: &str| {
            keys.iter().map(|key| entry(tx, params![cluster, action, key])).collect()
        };
        self.reader.read(&self.calls, READ, get).await
    }

    async fn list(
        &self,
        action: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let (action, after) =
            (self.area.checked_table_name(action)?, after.unwrap_or_default().to_owned());
        let list = move |tx: &Transaction<'_>, cluster: &str| {
            let sql = "SELECT key FROM state WHERE cluster = ?1 AND action = ?2 AND key > ?3
                       ORDER BY key LIMIT ?4";
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut keys = tx.prepare_cached(sql)?;
            let rows = keys.query_map(params![cluster, action, after, limit], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        self.reader.read(&self.calls, LIST, list).await
    }

    async fn size(&self, action: &str) -> Result<u64, StoreError> {
        let action = self.area.checked_table_name(action)?;
        let size = move |tx: &Transaction<'_>, cluster: &str| {
            // A key is counted as what it is stored as, which is its length in bytes.
            let sql = "SELECT coalesce(sum(length(CAST(key AS BLOB)) + length(value)), 0)
                       FROM state WHERE cluster = ?1 AND action = ?2";
            let size: i64 = tx.prepare_cached(sql)?.query_row([cluster, &action], |r| r.get(0))?;
            Ok(u64::try_from(size).unwrap_or_default())
        };
        self.reader.read(&self.calls, MEASURE, size).await
    }

    async fn write(
        &self,
        guard: WriteGuard<'_>,
        action: &str,
        writes: &[StateWrite],
    ) -> Result<i64, StoreError> {
        let action = self.area.checked_table_name(action)?;
        check_writes(writes)?;
        let fencing_token = match guard {
            WriteGuard::Leader(key) => Some(key.fencing_token),
            WriteGuard::Person => None,
        };
        let (by, writes) = (action.as_str().into(), writes.to_vec());
        let write = move |file: &mut SqliteFile| {
            file.retry_if_full(|file| file.state_write(fencing_token, &action, &writes))
        };
        self.calls.write(by, WRITE, write).await
    }
}

impl SqliteFile {
    fn state_write(
        &mut self,
        guard: Option<FencingToken>,
        action: &str,
        writes: &[StateWrite],
    ) -> Result<i64, SqliteFault> {
        // Jobs can be claimed however little room there is.
        let room = match StateArea::of_table_name(action) {
            (StateArea::Ledger, _) => Ok(()),
            (StateArea::State, _) => self.must_have_room(),
        };
        self.write_silently(|tx, cluster| {
            if let Some(fencing_token) = guard
                && reads::candidate_position(tx, fencing_token)? == CandidatePosition::Gone
            {
                return Err(SqliteFault::NotLeader);
            }
            let version = next_version(tx)?;
            let mut growth = StateGrowth::default();
            for write in writes {
                let replaced = put(tx, cluster, action, write, version)?;
                growth.count(write, replaced);
            }
            if growth.grows() || growth.bytes() > 0 {
                room?;
            }
            // Counting reads all keys of the action, so only do it when needed.
            if growth.grows() && growth.exceeds_with(key_count(tx, cluster, action)?) {
                return Err(SqliteFault::Limit(too_many_keys(action)));
            }
            Ok(growth.bytes())
        })
    }
}

/// The number of keys that an action has.
fn key_count(tx: &Transaction<'_>, cluster: &str, action: &str) -> Result<usize, SqliteFault> {
    let sql = "SELECT count(*) FROM state WHERE cluster = ?1 AND action = ?2";
    let kept: i64 = tx.prepare_cached(sql)?.query_row([cluster, action], |row| row.get(0))?;
    Ok(usize::try_from(kept).unwrap_or_default())
}

/// The value at `key`, which consists of cluster, action and key.
fn entry(tx: &Transaction<'_>, key: &[&dyn ToSql]) -> Result<Option<StateEntry>, SqliteFault> {
    let sql = "SELECT value, version FROM state WHERE cluster = ?1 AND action = ?2 AND key = ?3";
    let entry = |row: &Row<'_>| {
        Ok(StateEntry { value: row.get::<_, Vec<u8>>(0)?.into(), version: row.get(1)? })
    };
    Ok(tx.prepare_cached(sql)?.query_row(key, entry).optional()?)
}

/// Makes one write, and returns the length of the previous value.
fn put(
    tx: &Transaction<'_>,
    cluster: &str,
    action: &str,
    write: &StateWrite,
    version: i64,
) -> Result<Option<usize>, SqliteFault> {
    let key = params![cluster, action, write.key];
    let sql = "SELECT version, length(value) FROM state
               WHERE cluster = ?1 AND action = ?2 AND key = ?3";
    let entry = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let found: Option<(i64, i64)> = tx.prepare_cached(sql)?.query_row(key, entry).optional()?;
    let version_found = found.map_or(0, |(version, _)| version);
    if write.only_if.is_some_and(|wanted| wanted != version_found) {
        return Err(SqliteFault::Conflict);
    }
    match &write.value {
        Some(value) => {
            let sql = "INSERT INTO state (cluster, action, key, value, version)
                       VALUES (?1, ?2, ?3, ?4, ?5)
                       ON CONFLICT (cluster, action, key) DO UPDATE SET value = ?4, version = ?5";
            let row = params![cluster, action, write.key, Bytes::as_ref(value), version];
            tx.prepare_cached(sql)?.execute(row)?;
        }
        None => {
            let sql = "DELETE FROM state WHERE cluster = ?1 AND action = ?2 AND key = ?3";
            tx.prepare_cached(sql)?.execute(key)?;
        }
    }
    Ok(found.map(|(_, length)| usize::try_from(length).unwrap_or_default()))
}

pub(super) fn next_version(tx: &Transaction<'_>) -> Result<i64, SqliteFault> {
    let sql = "UPDATE versions SET version = version + 1 RETURNING version";
    Ok(tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}
