//! Backups: all that a cluster keeps, read as of one moment and written to another store.
//!
//! What lives and dies with hosts is in no backup: sessions, members, candidates and claims. A
//! queued call that a host has claimed is exported as it would be if that host had died: waiting.
//!
//! Invariants:
//! - An export is of one moment, however long it takes to read, and holds no more in memory than a
//!   few batches.
//! - Importing the same records twice has the same result as importing them once.

mod base64_bytes;
mod batches;
mod call_row;
mod checks;
mod kind;
mod record;
mod stream;
mod summary;

use std::time::Duration;

use async_trait::async_trait;

pub(crate) use batches::batches;
pub(crate) use checks::check_records;
pub use kind::BackupKind;
pub use record::{BackupRecord, CallRecord, CallStage, NoteRecord, StateRecord};
pub use stream::BackupStream;
pub(crate) use stream::{BatchSender, batch_stream};
pub use summary::BackupSummary;

use crate::error::StoreError;
use soloist_heart::FencingToken;

/// What a cluster kept at one moment.
pub struct BackupExport {
    /// The store's identity, if it has one.
    pub identity: Option<String>,
    /// No fencing token that was given out by then is higher.
    pub highest_token: FencingToken,
    /// All records. The order is the store's.
    pub records: BackupStream,
}

/// For how long an imported answer is kept at least: while a cluster moves, no host can be asked
/// for it.
const ANSWERS_AT_LEAST: Duration = Duration::from_secs(3600);

/// For how long an answer is kept that was exported with this many seconds to live.
pub(crate) fn keep_answer(seconds: u64) -> Duration {
    Duration::from_secs(seconds).max(ANSWERS_AT_LEAST)
}

/// What to do about the row of a queued call that soloist did not write.
pub(crate) fn foreign_call(task: &str, id: &str) -> String {
    format!(
        "the store holds data that soloist did not write, in the row of the queued call \
         `{task}/{id}`: delete it"
    )
}

/// Exports and imports all that one cluster keeps.
#[async_trait]
pub trait BackupStore: Send + Sync + 'static {
    /// Reads everything as of one moment. It may be done while hosts run.
    ///
    /// # Errors
    /// [`StoreError::Refused`], here or in the stream, if the store holds data that soloist did not
    /// write.
    async fn export(&self) -> Result<BackupExport, StoreError>;

    /// Writes `records`. What is there under the same name is overwritten. It is for a cluster
    /// without hosts: nothing is guarded.
    ///
    /// A call that fails with [`StoreError::Unavailable`] may have written some of them; it may be
    /// repeated.
    ///
    /// # Errors
    /// [`StoreError::Refused`] and [`StoreError::Limit`] for a record that no store accepts.
    async fn import(&self, records: &[BackupRecord]) -> Result<(), StoreError>;

    /// Deletes everything that an export returns, for a cluster without hosts.
    async fn erase(&self) -> Result<(), StoreError>;
}
