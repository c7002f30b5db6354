//! Backups of a cluster in etcd: ranges read at one revision, page by page, and transactions that
//! put what was read.

mod export;
mod import;

use std::sync::Arc;

use async_trait::async_trait;
use etcd_client::{DeleteOptions, GetOptions, Txn, TxnOp};
use tokio::sync::mpsc;

use self::export::{EXPORT, EtcdExport};
use super::{
    call_queue::queued_call_keys::QueuedCallKeys,
    client::{EtcdClient, SharedClient},
    identity,
    keys::{EtcdKeys, KeyRange},
};
use crate::{
    BackupExport, BackupRecord, BackupStore, StoreError,
    backup::{batch_stream, batches, check_records},
    queued_call::AnswerLeases,
    state_store::StateArea,
};
use soloist_heart::FencingToken;

const ERASE: &str = "erase what the cluster keeps";

/// Exports and imports what one cluster keeps.
pub(super) struct EtcdBackupStore {
    client: SharedClient,
    keys: EtcdKeys,
    names: QueuedCallKeys,
    answer_leases: AnswerLeases,
}

impl EtcdBackupStore {
    pub(super) fn new(client: EtcdClient, keys: EtcdKeys) -> Self {
        let (names, answer_leases) = (QueuedCallKeys::new(&keys), AnswerLeases::default());
        Self { client: Arc::new(client), keys, names, answer_leases }
    }

    /// The ranges of all that an export returns.
    fn ranges(&self) -> Vec<KeyRange> {
        let areas = [StateArea::State, StateArea::Ledger].map(|area| self.keys.area_range(area));
        let [holds, hosts] = self.keys.note_ranges();
        areas.into_iter().chain([self.keys.call_queue_range(), holds, hosts]).collect()
    }
}

#[async_trait]
impl BackupStore for EtcdBackupStore {
    async fn export(&self) -> Result<BackupExport, StoreError> {
        let range = self.keys.cluster_range();
        let all = GetOptions::new().with_range(range.end);
        let found = self.client.get(EXPORT, &range.first, &all).await?;
        let headless = || self.client.unavailable(EXPORT, "an answer without header");
        let revision = found.header().ok_or_else(headless)?.revision();
        let observed = identity::observed(&self.keys, found.kvs(), revision);
        let (sender, records) = mpsc::channel(1);
        let (client, keys, names) = (self.client.clone(), self.keys.clone(), self.names.clone());
        let export = EtcdExport::new(client, keys, names, revision);
        Ok(BackupExport {
            identity: observed.identity,
            highest_token: FencingToken(observed.floor.saturating_add(revision)),
            records: batch_stream(records, export.send(sender)),
        })
    }

    async fn import(&self, records: &[BackupRecord]) -> Result<(), StoreError> {
        check_records(records)?;
        for batch in batches(records) {
            self.import_batch(batch).await?;
        }
        Ok(())
    }

    async fn erase(&self) -> Result<(), StoreError> {
        let delete = |KeyRange { first, end }| {
            TxnOp::delete(first, Some(DeleteOptions::new().with_range(end)))
        };
        let deletions: Vec<_> = self.ranges().into_iter().map(delete).collect();
        self.client.transact(ERASE, &Txn::new().and_then(deletions)).await.map(drop)
    }
}
