//! Reading in parallel to the worker, over a separate connection.
//!
//! With a write-ahead log, a reader neither waits for a writer nor delays one (SQLite: "Write-Ahead
//! Logging", "Concurrency"). So whatever plugins read, and however much of it, no renewal ever
//! waits for it.
//!
//! Invariant: the caller of a read holds nothing. It may be a guest that gets no processor time, so
//! a separate task waits for the connection and holds it.

use std::sync::Arc;

use rusqlite::Transaction;
use tokio::{runtime, task::spawn_blocking, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    file::SqliteFile,
    readers::{ReaderSlot, close_if_replaced},
    sqlite_config::SqliteConfig,
    sqlite_fault::SqliteFault,
    worker_calls::WorkerCalls,
};
use crate::StoreError;
use soloist_telemetry::measure;

/// Makes one read at a time, on the runtime's threads for blocking work.
pub(super) struct SqliteReader {
    runtime: runtime::Handle,
    slot: Arc<ReaderSlot>,
}

impl SqliteReader {
    /// A reader for the store of `calls`; its work runs on the current runtime.
    pub(super) fn new(calls: &WorkerCalls) -> Result<Self, StoreError> {
        let runtime = runtime::Handle::try_current().map_err(|error| StoreError::Refused {
            problem: "no runtime: ask for the state inside a tokio runtime".into(),
            source: Some(error.into()),
        })?;
        Ok(Self { runtime, slot: calls.readers.add() })
    }

    /// Reads within one transaction and within the request time-out; `work` is given the cluster's
    /// name.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        calls: &WorkerCalls,
        attempted: &'static str,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, SqliteFault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let read = self.read_at_length(calls, work);
        let done = timeout(calls.request_timeout, read).await;
        let done =
            done.unwrap_or(Ok(Err(SqliteFault::TimedOut))).unwrap_or(Err(SqliteFault::Closed));
        done.map_err(|fault| fault.into_error(attempted, &calls.label))
    }

    /// Reads within one transaction for as long as `work` takes; `work` is given the cluster's name.
    pub(super) fn read_at_length<T: Send + 'static>(
        &self,
        calls: &WorkerCalls,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, SqliteFault> + Send + 'static,
    ) -> AbortOnDropHandle<Result<T, SqliteFault>> {
        measure::store_call();
        let (slot, source) = (Arc::clone(&self.slot), calls.source.clone());
        AbortOnDropHandle::new(self.runtime.spawn(async move {
            let mut file = slot.lock_owned().await;
            let read = spawn_blocking(move || read(&mut file, &source, work));
            read.await.unwrap_or(Err(SqliteFault::Closed))
        }))
    }
}

fn read<T>(
    slot: &mut Option<SqliteFile>,
    source: &SqliteConfig,
    work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, SqliteFault>,
) -> Result<T, SqliteFault> {
    close_if_replaced(slot);
    let file = match slot {
        Some(file) => file,
        None => slot.insert(SqliteFile::open(source)?),
    };
    let done = file.read(work);
    if done.as_ref().is_err_and(|fault| !fault.is_busy()) {
        *slot = None;
    }
    done
}
