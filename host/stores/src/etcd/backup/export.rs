//! Reading all that a cluster keeps at one revision.

use std::collections::BTreeMap;

use bytes::Bytes;
use etcd_client::{Client as Connection, GetOptions, KeyValue, Txn, TxnOp};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::Sender;

use crate::{
    BackupRecord, CallRecord, CallStage, NoteRecord, QueuedCallKey, StateRecord, StoreError,
    backup::BatchSender,
    etcd::{
        call_queue::{
            queued_call_keys::{QueuedCallKeyKind, QueuedCallKeys},
            split_content_type,
        },
        client::SharedClient,
        keys::{EtcdKeys, KeyRange},
        range::{RangePages, VALUES},
        txn_reads::first_key,
    },
    state_store::StateArea,
};

/// The attempted action, for error texts.
pub(super) const EXPORT: &str = "export what the cluster keeps";

/// How many queued calls are read at once, with payloads of up to 1 MiB.
const CALLS: i64 = 16;

/// An export at one revision.
pub(super) struct EtcdExport {
    client: SharedClient,
    keys: EtcdKeys,
    names: QueuedCallKeys,
    revision: i64,
    /// The times to live of the leases of answers, in seconds.
    ttls: BTreeMap<i64, u64>,
}

impl EtcdExport {
    pub(super) fn new(
        client: SharedClient,
        keys: EtcdKeys,
        names: QueuedCallKeys,
        revision: i64,
    ) -> Self {
        Self { client, keys, names, revision, ttls: BTreeMap::new() }
    }

    /// Reads everything, and sends it.
    pub(super) async fn send(mut self, to: Sender<Vec<BackupRecord>>) -> Result<(), StoreError> {
        let mut to = BatchSender::new(to);
        self.state(StateArea::State, BackupRecord::State, &mut to).await?;
        self.state(StateArea::Ledger, BackupRecord::Ledger, &mut to).await?;
        for kind in [QueuedCallKeyKind::Head, QueuedCallKeyKind::Dead, QueuedCallKeyKind::Result] {
            self.calls(kind, &mut to).await?;
        }
        self.notes(&mut to).await?;
        sent(to.finish().await)
    }

    async fn state(
        &self,
        area: StateArea,
        record: fn(StateRecord) -> BackupRecord,
        to: &mut BatchSender,
    ) -> Result<(), StoreError> {
        let range = self.keys.area_range(area);
        let client = self.client.clone();
        let mut pages = RangePages::new(&client, EXPORT, &range, self.revision).with_page(VALUES);
        while let Some(page) = pages.next().await? {
            for found in page {
                let name = text(&found)?;
                let parts = name.strip_prefix(&*range.first).and_then(|it| it.split_once('/'));
                let (action, key) = parts.ok_or_else(|| foreign(&name, None))?;
                let (action, key) = (action.to_owned(), key.to_owned());
                let value = value(&found);
                sent(to.send(record(StateRecord { action, key, value })).await)?;
            }
        }
        Ok(())
    }

    /// Sends the queued calls that have a key of `kind`.
    async fn calls(
        &mut self,
        kind: QueuedCallKeyKind,
        to: &mut BatchSender,
    ) -> Result<(), StoreError> {
        let (range, client) = (self.names.range(kind), self.client.clone());
        let mut pages = RangePages::new(&client, EXPORT, &range, self.revision).with_page(CALLS);
        while let Some(page) = pages.next().await? {
            let contents = self.contents(kind, &page).await?;
            for (found, content) in page.iter().zip(contents) {
                let key = self.call_of(kind, found)?;
                let stage = self.stage(kind, found, content).await?;
                let record = BackupRecord::Call(CallRecord::new(&key, stage).into());
                sent(to.send(record).await)?;
            }
        }
        Ok(())
    }

    /// The payloads, or answers, of the queued calls that `page` names.
    async fn contents(
        &self,
        kind: QueuedCallKeyKind,
        page: &[KeyValue],
    ) -> Result<Vec<Bytes>, StoreError> {
        let place = match kind {
            QueuedCallKeyKind::Result => QueuedCallKeyKind::Answer,
            _ => QueuedCallKeyKind::Payload,
        };
        let names = page.iter().map(|found| Ok(self.names.key(place, &self.call_of(kind, found)?)));
        let names = names.collect::<Result<Vec<_>, StoreError>>()?;
        let at = GetOptions::new().with_revision(self.revision);
        let gets = names.iter().map(|name| TxnOp::get(name.as_str(), Some(at.clone())));
        let txn = Txn::new().and_then(gets.collect::<Vec<_>>());
        let found = self.client.transact(EXPORT, &txn).await?.op_responses();
        let content = |at| first_key(found.get(at)).map(value).unwrap_or_default();
        Ok((0..page.len()).map(content).collect())
    }

    async fn stage(
        &mut self,
        kind: QueuedCallKeyKind,
        found: &KeyValue,
        content: Bytes,
    ) -> Result<CallStage, StoreError> {
        Ok(match kind {
            QueuedCallKeyKind::Dead => CallStage::Dead { ended: parsed(found)?, payload: content },
            QueuedCallKeyKind::Result => {
                let (content_type, answer) = split_content_type(content);
                let keep_s = self.ttl(found.lease()).await?;
                CallStage::Done { ended: parsed(found)?, answer, content_type, keep_s }
            }
            _ => CallStage::Waiting { head: parsed(found)?, payload: content },
        })
    }

    /// The time to live of an answer's lease, in seconds; zero if the lease has run out since.
    async fn ttl(&mut self, lease: i64) -> Result<u64, StoreError> {
        if let Some(known) = self.ttls.get(&lease) {
            return Ok(*known);
        }
        let ask = |mut etcd: Connection| async move { etcd.lease_time_to_live(lease, None).await };
        let ttl = self.client.call(EXPORT, ask).await?.granted_ttl();
        let ttl = u64::try_from(ttl).unwrap_or_default();
        self.ttls.insert(lease, ttl);
        Ok(ttl)
    }

    async fn notes(&self, to: &mut BatchSender) -> Result<(), StoreError> {
        for KeyRange { first, end } in self.keys.note_ranges() {
            let (range, client) = (KeyRange { first, end }, self.client.clone());
            let mut pages = RangePages::new(&client, EXPORT, &range, self.revision);
            while let Some(page) = pages.next().await? {
                for found in page {
                    let name = text(&found)?;
                    let within = name.strip_prefix(&self.keys.root);
                    let within = within.ok_or_else(|| foreign(&name, None))?.to_owned();
                    let note = NoteRecord { name: within, value: value(&found) };
                    sent(to.send(BackupRecord::Note(note)).await)?;
                }
            }
        }
        Ok(())
    }

    fn call_of(
        &self,
        kind: QueuedCallKeyKind,
        found: &KeyValue,
    ) -> Result<QueuedCallKey, StoreError> {
        self.names.call_of(kind, found.key()).ok_or_else(|| foreign(&lossy(found), None))
    }
}

fn sent(somebody_reads: bool) -> Result<(), StoreError> {
    // Nobody sees this error, either.
    if somebody_reads { Ok(()) } else { Err(StoreError::refused("nobody reads the export")) }
}

fn value(found: &KeyValue) -> Bytes {
    Bytes::copy_from_slice(found.value())
}

fn text(found: &KeyValue) -> Result<String, StoreError> {
    String::from_utf8(found.key().to_vec()).map_err(|_| foreign(&lossy(found), None))
}

fn lossy(found: &KeyValue) -> String {
    String::from_utf8_lossy(found.key()).into_owned()
}

fn parsed<T: DeserializeOwned>(found: &KeyValue) -> Result<T, StoreError> {
    serde_json::from_slice(found.value()).map_err(|error| foreign(&lossy(found), Some(error)))
}

/// The error for a key that soloist did not write: leaving it out would lose it without a word.
fn foreign(key: &str, source: Option<serde_json::Error>) -> StoreError {
    StoreError::Refused {
        problem: format!(
            "the store holds data that soloist did not write, under the key `{key}`: delete it"
        ),
        source: source.map(Into::into),
    }
}
