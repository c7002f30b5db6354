//! Backups of a cluster in an SQLite file: one read transaction, and one write transaction for each
//! batch.

mod export;
mod import;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use self::export::ExportHead;
use super::{
    file::SqliteFile, reader::SqliteReader, sqlite_fault::SqliteFault, worker_calls::WorkerCalls,
};
use crate::{
    BackupExport, BackupRecord, BackupStore, StoreError,
    backup::{batch_stream, batches, check_records},
    queued_call::AnswerLeases,
};
use soloist_heart::FencingToken;

const EXPORT: &str = "export what the cluster keeps";
const IMPORT: &str = "import what a cluster kept";
const ERASE: &str = "erase what the cluster keeps";

/// The writer's name in the queue of writes. It contains a slash, so no action has it.
const WRITER: &str = "backup/";

/// Exports and imports what one cluster keeps.
pub(super) struct SqliteBackupStore {
    calls: WorkerCalls,
    reader: SqliteReader,
    answer_leases: Arc<AnswerLeases>,
}

impl SqliteBackupStore {
    /// # Errors
    /// [`StoreError::Refused`] outside a tokio runtime.
    pub(super) fn new(calls: WorkerCalls) -> Result<Self, StoreError> {
        Ok(Self { reader: SqliteReader::new(&calls)?, calls, answer_leases: Arc::default() })
    }

    async fn write<T: Send + 'static>(
        &self,
        attempted: &'static str,
        work: impl FnOnce(&mut SqliteFile) -> Result<T, SqliteFault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.calls.write(WRITER.into(), attempted, work).await
    }
}

#[async_trait]
impl BackupStore for SqliteBackupStore {
    async fn export(&self) -> Result<BackupExport, StoreError> {
        let (sender, records) = mpsc::channel(1);
        let (begun, beginning) = oneshot::channel();
        let reading = self.reader.read_at_length(&self.calls, |tx, cluster| {
            // Whoever has stopped waiting for the beginning does not take the records, either.
            drop(begun.send(export::head(tx)?));
            export::send(tx, cluster, sender)
        });
        let label = self.calls.label.clone();
        let work = async move {
            let read = reading.await.unwrap_or(Err(SqliteFault::Closed));
            read.map_err(|fault| fault.into_error(EXPORT, &label))
        };
        match beginning.await {
            Ok(ExportHead { identity, revision }) => Ok(BackupExport {
                identity: Some(identity),
                highest_token: FencingToken(revision),
                records: batch_stream(records, work),
            }),
            Err(_) => {
                work.await?;
                Err(SqliteFault::Closed.into_error(EXPORT, &self.calls.label))
            }
        }
    }

    async fn import(&self, records: &[BackupRecord]) -> Result<(), StoreError> {
        check_records(records)?;
        for batch in batches(records) {
            let (batch, leases) = (batch.to_vec(), self.answer_leases.clone());
            let import = move |file: &mut SqliteFile| file.import_records(&batch, &leases);
            self.write(IMPORT, import).await?;
        }
        Ok(())
    }

    async fn erase(&self) -> Result<(), StoreError> {
        while self.write(ERASE, SqliteFile::erase_some).await? {}
        Ok(())
    }
}
