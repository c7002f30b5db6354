//! The connections of all readers, so that they can be closed when the file was replaced.

use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync;

use super::file::SqliteFile;

/// A reader's connection. It is opened by the first read, and again after one that failed.
pub(super) type ReaderSlot = sync::Mutex<Option<SqliteFile>>;

/// Such a connection must be closed before another one is opened, since that would use another log.
pub(super) fn close_if_replaced(slot: &mut Option<SqliteFile>) {
    if slot.as_ref().is_some_and(|file| file.check_same().is_err()) {
        *slot = None;
    }
}

/// All readers of a store.
#[derive(Default)]
pub(super) struct SqliteReaders(Mutex<Vec<Weak<ReaderSlot>>>);

impl SqliteReaders {
    /// Adds a reader, which has no connection yet.
    pub(super) fn add(&self) -> Arc<ReaderSlot> {
        let slot = Arc::default();
        self.all().push(Arc::downgrade(&slot));
        slot
    }

    /// Closes the connections to a file that was replaced. One that is in use closes itself at its
    /// next read, or when this is called again.
    pub(super) fn close_replaced(&self) {
        let mut all = self.all();
        all.retain(|slot| slot.strong_count() > 0);
        for slot in all.iter().filter_map(Weak::upgrade) {
            if let Ok(mut slot) = slot.try_lock() {
                close_if_replaced(&mut slot);
            }
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Weak<ReaderSlot>>> {
        self.0.lock()
    }
}
