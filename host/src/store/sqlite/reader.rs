//! Reading beside the worker, over a connection of its own.
//!
//! With a write-ahead log a reader neither waits for a writer nor holds one up
//! (SQLite: "Write-Ahead Logging", "Concurrency"). So whatever plugins read, and
//! however much of it, no renewal ever stands behind it.

use std::sync::Arc;

use rusqlite::Transaction;
use tokio::{runtime, sync::Mutex, time::timeout};

use super::{Calls, fault::Fault, file::File, worker::Source};
use crate::store::StoreError;

/// One read at a time, on the runtime's threads for what blocks.
pub(super) struct Reader {
    runtime: runtime::Handle,
    /// Opened by the first read, and again after one that failed.
    file: Arc<Mutex<Option<File>>>,
}

impl Reader {
    /// A reader whose work the current runtime does.
    pub(super) fn new() -> Result<Self, StoreError> {
        let runtime = runtime::Handle::try_current().map_err(|error| StoreError::Refused {
            problem: "no runtime: ask for the state inside a tokio runtime".into(),
            source: Some(error.into()),
        })?;
        Ok(Self { runtime, file: Arc::default() })
    }

    /// Reads at one moment, within the request time-out; `work` is told the cluster.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        calls: &Calls,
        attempted: &'static str,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let read = async {
            let mut file = Arc::clone(&self.file).lock_owned().await;
            let source = calls.source.clone();
            let work = self.runtime.spawn_blocking(move || read(&mut file, &source, work));
            work.await.unwrap_or(Err(Fault::Closed))
        };
        let done = timeout(calls.request_timeout, read).await.unwrap_or(Err(Fault::TimedOut));
        done.map_err(|fault| fault.into_error(attempted, &calls.label))
    }
}

fn read<T>(
    open: &mut Option<File>,
    source: &Source,
    work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let file = match open.take() {
        Some(file) if file.same().is_ok() => file,
        _ => File::open(source)?,
    };
    let file = open.insert(file);
    let done = file.read(work);
    if done.as_ref().is_err_and(|fault| !fault.is_busy()) {
        *open = None;
    }
    done
}
