//! Reading beside the worker, over a connection of its own.
//!
//! With a write-ahead log a reader neither waits for a writer nor holds one up
//! (SQLite: "Write-Ahead Logging", "Concurrency"). So whatever plugins read, and
//! however much of it, no renewal ever stands behind it.
//!
//! Invariant: who asks holds nothing. It may be a guest that waits for the processor, so
//! the connection is waited for, and held, by a task of its own.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use rusqlite::Transaction;
use tokio::{runtime, sync, task::spawn_blocking, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{Calls, fault::Fault, file::File, worker::Source};
use crate::store::StoreError;

/// A reader's connection: opened by the first read, and again after one that failed.
type Slot = sync::Mutex<Option<File>>;

/// One read at a time, on the runtime's threads for what blocks.
pub(super) struct Reader {
    runtime: runtime::Handle,
    slot: Arc<Slot>,
}

impl Reader {
    /// A reader of the store of `calls`, whose work the current runtime does.
    pub(super) fn new(calls: &Calls) -> Result<Self, StoreError> {
        let runtime = runtime::Handle::try_current().map_err(|error| StoreError::Refused {
            problem: "no runtime: ask for the state inside a tokio runtime".into(),
            source: Some(error.into()),
        })?;
        Ok(Self { runtime, slot: calls.readers.add() })
    }

    /// Reads at one moment, within the request time-out; `work` is told the cluster.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        calls: &Calls,
        attempted: &'static str,
        work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (slot, source) = (Arc::clone(&self.slot), calls.source.clone());
        let read = AbortOnDropHandle::new(self.runtime.spawn(async move {
            let mut file = slot.lock_owned().await;
            let read = spawn_blocking(move || read(&mut file, &source, work));
            read.await.unwrap_or(Err(Fault::Closed))
        }));
        let done = timeout(calls.request_timeout, read).await;
        let done = done.unwrap_or(Ok(Err(Fault::TimedOut))).unwrap_or(Err(Fault::Closed));
        done.map_err(|fault| fault.into_error(attempted, &calls.label))
    }
}

fn read<T>(
    slot: &mut Option<File>,
    source: &Source,
    work: impl FnOnce(&Transaction<'_>, &str) -> Result<T, Fault>,
) -> Result<T, Fault> {
    close_if_strayed(slot);
    let file = match slot {
        Some(file) => file,
        None => slot.insert(File::open(source)?),
    };
    let done = file.read(work);
    if done.as_ref().is_err_and(|fault| !fault.is_busy()) {
        *slot = None;
    }
    done
}

/// No other can be opened before: it would use another log beside this one.
fn close_if_strayed(slot: &mut Option<File>) {
    if slot.as_ref().is_some_and(|file| file.same().is_err()) {
        *slot = None;
    }
}

/// The readers of a store.
#[derive(Default)]
pub(super) struct Readers(Mutex<Vec<Weak<Slot>>>);

impl Readers {
    fn add(&self) -> Arc<Slot> {
        let slot = Arc::default();
        self.all().push(Arc::downgrade(&slot));
        slot
    }

    /// Closes what is open of a file that is not the store's any more. What is reading
    /// closes it by itself at its next read, or when this is asked again.
    pub(super) fn close_strayed(&self) {
        let mut all = self.all();
        all.retain(|slot| slot.strong_count() > 0);
        for slot in all.iter().filter_map(Weak::upgrade) {
            if let Ok(mut slot) = slot.try_lock() {
                close_if_strayed(&mut slot);
            }
        }
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
