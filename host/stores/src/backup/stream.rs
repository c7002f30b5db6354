//! An export as a stream: what reads the store hands batches on, and waits until they are taken.

use std::future::{Future, ready};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::sync::mpsc::{Receiver, Sender};

use super::{batches::RecordBatch, record::BackupRecord};
use crate::error::StoreError;

/// The records of an export, in batches. The stream ends after an error.
pub type BackupStream = BoxStream<'static, Result<Vec<BackupRecord>, StoreError>>;

/// Where an export puts its records.
pub(crate) struct BatchSender {
    to: Sender<Vec<BackupRecord>>,
    batch: RecordBatch,
}

impl BatchSender {
    pub(crate) fn new(to: Sender<Vec<BackupRecord>>) -> Self {
        Self { to, batch: RecordBatch::default() }
    }

    /// Adds a record. Returns whether anybody reads them still.
    pub(crate) async fn send(&mut self, record: BackupRecord) -> bool {
        match self.batch.push(record) {
            Some(full) => self.to.send(full).await.is_ok(),
            None => true,
        }
    }

    /// The same on a thread that may wait.
    pub(crate) fn blocking_send(&mut self, record: BackupRecord) -> bool {
        self.batch.push(record).is_none_or(|full| self.to.blocking_send(full).is_ok())
    }

    /// Sends what is left.
    pub(crate) async fn finish(mut self) -> bool {
        self.to.send(self.batch.take()).await.is_ok()
    }

    /// The same on a thread that may wait.
    pub(crate) fn blocking_finish(mut self) -> bool {
        self.to.blocking_send(self.batch.take()).is_ok()
    }
}

/// The batches that come from `records` while `work` sends them, and then its error, if it fails.
pub(crate) fn batch_stream(
    records: Receiver<Vec<BackupRecord>>,
    work: impl Future<Output = Result<(), StoreError>> + Send + 'static,
) -> BackupStream {
    let batches = stream::unfold(records, |mut records| async {
        let batch = records.recv().await?;
        Some((Ok(batch), records))
    });
    let error = stream::once(work).filter_map(|done| ready(done.err().map(Err)));
    stream::select(batches, error).boxed()
}
