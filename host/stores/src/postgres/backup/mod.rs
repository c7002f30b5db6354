//! Backups of a cluster in a PostgreSQL: a cursor in one transaction that reads as of one moment,
//! and one transaction for each batch that is written.

mod export;
mod import;

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use tokio::{sync::mpsc, time::Instant};
use tokio_postgres::Error;

use self::import::PostgresImport;
use super::{
    calls::{PostgresCalls, PostgresWork},
    fault::PostgresFault,
    pool::PostgresPool,
    transaction::PostgresTransaction,
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

/// Exports and imports what one cluster keeps.
pub(super) struct PostgresBackupStore {
    pool: Arc<PostgresPool>,
    calls: PostgresCalls,
    answer_leases: Arc<AnswerLeases>,
}

impl PostgresBackupStore {
    /// It uses the connections of `pool`, of which there must be two.
    pub(super) fn new(pool: Arc<PostgresPool>) -> Self {
        Self { calls: PostgresCalls::new(pool.clone()), pool, answer_leases: Arc::default() }
    }

    /// A transaction that reads as of now; the store's identity, and the highest fencing token.
    async fn snapshot(&self) -> Result<(PostgresTransaction, Option<String>, i64), PostgresFault> {
        let until = Instant::now() + self.pool.source().request_timeout;
        let mut tx = PostgresTransaction::begin_snapshot(&self.pool, until).await?;
        let sql = "SELECT (SELECT identity FROM store), revision FROM rosters WHERE cluster = $1";
        let row = tx.query_first(sql, &[]).await?;
        let row = row.ok_or_else(PostgresFault::cluster_is_gone)?;
        let head = || Ok::<_, Error>((row.try_get(0)?, row.try_get(1)?));
        let (identity, revision) = head()?;
        Ok((tx, identity, revision))
    }
}

#[async_trait]
impl BackupStore for PostgresBackupStore {
    async fn export(&self) -> Result<BackupExport, StoreError> {
        let begun = self.snapshot().await;
        let (tx, identity, revision) = begun.map_err(|fault| self.calls.error(EXPORT, fault))?;
        let (sender, records) = mpsc::channel(1);
        let (calls, within) = (self.calls.clone(), self.pool.source().request_timeout);
        let work = async move {
            let sent = export::send(tx, within, sender).await;
            sent.map_err(|fault| calls.error(EXPORT, fault))
        };
        Ok(BackupExport {
            identity,
            highest_token: FencingToken(revision),
            records: batch_stream(records, work),
        })
    }

    async fn import(&self, records: &[BackupRecord]) -> Result<(), StoreError> {
        check_records(records)?;
        for batch in batches(records) {
            let args = (batch.to_vec(), self.answer_leases.clone());
            let import: PostgresWork<(Vec<BackupRecord>, Arc<AnswerLeases>), _> =
                |tx, (records, leases)| PostgresImport::new(tx, leases).batch(records).boxed();
            self.calls.call(IMPORT, args, import).await?;
        }
        Ok(())
    }

    async fn erase(&self) -> Result<(), StoreError> {
        let erase: PostgresWork<_, _> = |tx, ()| import::erase_some(tx).boxed();
        while self.calls.call(ERASE, (), erase).await? {}
        Ok(())
    }
}
