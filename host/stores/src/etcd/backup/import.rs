//! Writing what a cluster kept.

use etcd_client::{PutOptions, Txn, TxnOp};

use super::EtcdBackupStore;
use crate::{
    BackupRecord, CallRecord, CallStage, StateRecord, StoreError,
    backup::keep_answer,
    etcd::call_queue::{queued_call_keys::QueuedCallKeyKind, with_content_type},
    queued_call::AnswerLeases,
    state_store::StateArea,
};
use soloist_heart::{LeaseId, clock::BootTime};

/// The attempted action, for error texts.
const IMPORT: &str = "import what a cluster kept";

impl EtcdBackupStore {
    /// Writes a batch in one transaction. A queued call takes two operations of the 128 that etcd
    /// allows (`--max-txn-ops`), and a batch has half as many records.
    pub(super) async fn import_batch(&self, records: &[BackupRecord]) -> Result<(), StoreError> {
        let mut puts = Vec::new();
        for record in records {
            match record {
                BackupRecord::State(entry) => puts.push(self.put_state(StateArea::State, entry)?),
                BackupRecord::Ledger(entry) => {
                    puts.push(self.put_state(StateArea::Ledger, entry)?);
                }
                BackupRecord::Call(call) => puts.extend(self.put_call(call).await?),
                BackupRecord::Note(note) => {
                    let key = format!("{}{}", self.keys.root, note.name);
                    puts.push(TxnOp::put(key, note.value.as_ref(), None));
                }
            }
        }
        self.client.transact(IMPORT, &Txn::new().and_then(puts)).await.map(drop)
    }

    fn put_state(&self, area: StateArea, entry: &StateRecord) -> Result<TxnOp, StoreError> {
        let range = self.keys.state_range(area, &entry.action)?;
        Ok(TxnOp::put(format!("{}{}", range.first, entry.key), entry.value.as_ref(), None))
    }

    async fn put_call(&self, call: &CallRecord) -> Result<[TxnOp; 2], StoreError> {
        let key = call.key();
        let put = |kind, value: Vec<u8>, lease: Option<LeaseId>| {
            let under = lease.map(|lease| PutOptions::new().with_lease(lease.0));
            TxnOp::put(self.names.key(kind, &key), value, under)
        };
        Ok(match &call.stage {
            CallStage::Waiting { head, payload } => [
                put(QueuedCallKeyKind::Payload, payload.to_vec(), None),
                put(QueuedCallKeyKind::Head, self.client.json(IMPORT, head)?, None),
            ],
            CallStage::Dead { ended, payload } => [
                put(QueuedCallKeyKind::Payload, payload.to_vec(), None),
                put(QueuedCallKeyKind::Dead, self.client.json(IMPORT, ended)?, None),
            ],
            CallStage::Done { ended, answer, content_type, keep_s } => {
                let lease = Some(self.answer_lease(*keep_s).await?);
                let answer = with_content_type(content_type.as_deref(), answer);
                [
                    put(QueuedCallKeyKind::Answer, answer, lease),
                    put(QueuedCallKeyKind::Result, self.client.json(IMPORT, ended)?, lease),
                ]
            }
        })
    }

    /// The lease for an answer that is written now.
    async fn answer_lease(&self, keep_s: u64) -> Result<LeaseId, StoreError> {
        let (keep, now) = (keep_answer(keep_s), BootTime::now());
        if let Some(lease) = self.answer_leases.current(keep, now) {
            return Ok(lease);
        }
        let granted = self.client.grant_lease(IMPORT, AnswerLeases::ttl(keep)).await?;
        let lease = LeaseId(granted.id());
        self.answer_leases.add(keep, lease, now);
        Ok(lease)
    }
}
