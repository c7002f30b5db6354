//! The connections that read, so that they are closed when the file is not the store's any more.

use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync;

use super::file::SqliteFile;

/// A reader's connection: opened by the first read, and again after one that failed.
pub(super) type ReaderSlot = sync::Mutex<Option<SqliteFile>>;

/// No other can be opened before: it would use another log beside this one.
pub(super) fn close_if_replaced(slot: &mut Option<SqliteFile>) {
    if slot.as_ref().is_some_and(|file| file.check_same().is_err()) {
        *slot = None;
    }
}

/// The readers of a store.
#[derive(Default)]
pub(super) struct SqliteReaders(Mutex<Vec<Weak<ReaderSlot>>>);

impl SqliteReaders {
    /// A new one, which is open to nothing yet.
    pub(super) fn add(&self) -> Arc<ReaderSlot> {
        let slot = Arc::default();
        self.all().push(Arc::downgrade(&slot));
        slot
    }

    /// Closes what is open of a file that is not the store's any more. What is reading
    /// closes it by itself at its next read, or when this is asked again.
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
