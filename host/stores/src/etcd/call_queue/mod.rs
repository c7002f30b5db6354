//! Queued calls, stored as etcd keys.
//!
//! Each step is one transaction that compares the keys of the state it starts from, so a step that
//! is sent twice takes effect once. etcd's transactions cannot compare the number of keys: whether
//! there is room for a queued call is read before it is put, so queued calls that are put at the
//! same moment do not count each other.

pub(super) mod queued_call_keys;
mod steps;
mod watch;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{Client as Connection, GetOptions, KeyValue, Txn, TxnOp};

use self::queued_call_keys::{QueuedCallKeyKind, QueuedCallKeys};
pub(super) use self::steps::{split_content_type, with_content_type};
use super::{
    client::{EtcdClient, SharedClient},
    keys::EtcdKeys,
    range::{page_options, page_start},
    txn_reads::key_count,
};
use crate::{
    CallClaimer, CallQueueStore, CallQueueStream, Claim, EndedQueuedCall, QueuedCallHeader,
    QueuedCallKey, QueuedCallRequest, QueuedCallResult, QueuedCallRetry, QueuedCallState,
    StoreError, WaitingCall,
    queued_call::{
        ANSWERS_MAX, AnswerLeases,
        attempted::{CLAIM, DEAD, LOOK, PURGE, PUT, REPLAY, SETTLE},
        check_answer, check_capacity, check_key, check_request, check_task, cut_error,
    },
};
use soloist_heart::{LeaseId, clock::BootTime};
use soloist_text::with_causes;

/// How many keys are requested at once.
const PAGE: usize = 500;
/// How many dead letters or answers are deleted at once. Each takes two operations of the 128 that
/// etcd allows (`--max-txn-ops`).
const BATCH: usize = 50;
/// One in this many calls checks whether there are too many answers.
const LOOK_EVERY: u32 = 64;

/// The queued calls of one cluster.
pub(super) struct EtcdCallQueueStore {
    /// A client of its own, so that the tasks' calls never end a turn of the session's client.
    client: SharedClient,
    names: QueuedCallKeys,
    answer_leases: AnswerLeases,
    /// Counts the answers written.
    answers: AtomicU32,
}

impl EtcdCallQueueStore {
    pub(super) fn new(client: EtcdClient, keys: &EtcdKeys) -> Self {
        let (names, answer_leases) = (QueuedCallKeys::new(keys), AnswerLeases::default());
        Self { client: Arc::new(client), names, answer_leases, answers: AtomicU32::new(0) }
    }

    /// Commits a step that starts from a claim, if the claim still exists.
    async fn commit_step(&self, txn: &Txn) -> Result<(), StoreError> {
        let made = self.client.transact(SETTLE, txn).await?.succeeded();
        if made { Ok(()) } else { Err(StoreError::Conflict) }
    }

    /// The lease for an answer that is written now.
    async fn answer_lease(&self, keep: Duration) -> Result<LeaseId, StoreError> {
        let now = BootTime::now();
        if let Some(lease) = self.answer_leases.current(keep, now) {
            return Ok(lease);
        }
        let ttl = AnswerLeases::ttl(keep).as_millis().div_ceil(1000);
        let ttl = i64::try_from(ttl).unwrap_or(i64::MAX);
        let grant = |mut etcd: Connection| async move { etcd.lease_grant(ttl, None).await };
        let lease = LeaseId(self.client.call(SETTLE, grant).await?.id());
        self.answer_leases.add(keep, lease, now);
        Ok(lease)
    }

    /// Deletes the answers of the oldest queued calls if there are too many.
    async fn delete_excess_answers(&self, task: &str) -> Result<(), StoreError> {
        let [results] = self.count(SETTLE, task, [QueuedCallKeyKind::Result]).await?;
        if results <= ANSWERS_MAX {
            return Ok(());
        }
        let over = (results - ANSWERS_MAX).min(2 * LOOK_EVERY as usize);
        let oldest = self.page(SETTLE, QueuedCallKeyKind::Result, task, None, over).await?;
        for some in oldest.chunks(BATCH) {
            let keys = some
                .iter()
                .filter_map(|kv| self.names.call_of(QueuedCallKeyKind::Result, kv.key()));
            self.client.transact(SETTLE, &steps::forget(&self.names, keys)).await?;
        }
        Ok(())
    }

    /// How many queued calls of a task have a key of each of these kinds.
    async fn count<const N: usize>(
        &self,
        attempted: &'static str,
        task: &str,
        kinds: [QueuedCallKeyKind; N],
    ) -> Result<[usize; N], StoreError> {
        let count = |kind| {
            let range = self.names.task_range(kind, task);
            let options = GetOptions::new().with_range(range.end).with_count_only();
            TxnOp::get(range.first, Some(options))
        };
        let txn = Txn::new().and_then(kinds.map(count).to_vec());
        let found = self.client.transact(attempted, &txn).await?.op_responses();
        Ok(std::array::from_fn(|i| key_count(found.get(i))))
    }

    /// The first `limit` keys of a kind with ids after `after`.
    async fn page(
        &self,
        attempted: &'static str,
        kind: QueuedCallKeyKind,
        task: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeyValue>, StoreError> {
        let range = self.names.task_range(kind, task);
        let options = page_options(&range.end, i64::try_from(limit).unwrap_or(i64::MAX));
        let from = page_start(&range, after);
        Ok(self.client.get(attempted, &from, &options).await?.take_kvs())
    }

    fn ended(&self, head: QueuedCallHeader) -> Result<Vec<u8>, StoreError> {
        self.client.json(SETTLE, &EndedQueuedCall { head, at: soloist_heart::clock::unix_ms() })
    }

    /// Parses what soloist wrote about the queued call `key`. Anything else is refused, since
    /// waiting would not help.
    fn read<T: serde::de::DeserializeOwned>(
        &self,
        kind: QueuedCallKeyKind,
        key: &QueuedCallKey,
        value: &[u8],
    ) -> Result<T, StoreError> {
        serde_json::from_slice(value).map_err(|error| StoreError::Refused {
            problem: format!(
                "the store holds data that soloist did not write, under the key `{}`: delete it",
                self.names.key(kind, key)
            ),
            source: Some(error.into()),
        })
    }
}

#[async_trait]
impl CallQueueStore for EtcdCallQueueStore {
    async fn put(
        &self,
        key: &QueuedCallKey,
        request: &QueuedCallRequest,
        limit: usize,
    ) -> Result<(), StoreError> {
        check_key(key)?;
        check_request(request)?;
        let [queued, dead] =
            self.count(PUT, &key.task, [QueuedCallKeyKind::Head, QueuedCallKeyKind::Dead]).await?;
        check_capacity(&key.task, queued, dead, limit)?;
        let head = self.client.json(PUT, &QueuedCallHeader::of(request))?;
        let put = steps::put(&self.names, key, head, &request.payload);
        // If the transaction did not succeed, an earlier attempt has put the queued call.
        self.client.transact(PUT, &put).await.map(drop)
    }

    async fn watch(&self) -> Result<CallQueueStream, StoreError> {
        watch::watch(self.client.clone(), self.names.clone()).await
    }

    async fn claim(
        &self,
        by: &CallClaimer,
        queued: &WaitingCall,
    ) -> Result<Option<(Claim, Bytes)>, StoreError> {
        let head = queued.head.claimed_by(&by.host);
        let txn = steps::claim(&self.names, by, queued, self.client.json(CLAIM, &head)?);
        let answer = self.client.transact(CLAIM, &txn).await?;
        let claimed = steps::claimed(&answer, by);
        Ok(claimed
            .map(|(version, payload)| (Claim { key: queued.key.clone(), version, head }, payload)))
    }

    async fn complete(
        &self,
        claim: &Claim,
        answer: &QueuedCallResult,
        keep: Duration,
    ) -> Result<(), StoreError> {
        check_answer(answer)?;
        let ended = self.ended(claim.head.clone())?;
        let step = |lease| steps::done(&self.names, claim, ended.clone(), answer, lease);
        let lease = self.answer_lease(keep).await?;
        let mut done = self.commit_step(&step(lease)).await;
        if matches!(done, Err(StoreError::LeaseGone)) {
            self.answer_leases.forget(lease);
            done = self.commit_step(&step(self.answer_lease(keep).await?)).await;
        }
        done?;
        if self.answers.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK_EVERY)
            && let Err(error) = self.delete_excess_answers(&claim.key.task).await
        {
            tracing::debug!(%error, task = %claim.key.task, "old answers stay for now");
        }
        Ok(())
    }

    async fn requeue(&self, claim: &Claim, again: &QueuedCallRetry) -> Result<(), StoreError> {
        let head = self.client.json(SETTLE, &claim.head.requeued(again))?;
        self.commit_step(&steps::again(&self.names, claim, head)).await
    }

    async fn mark_dead(&self, claim: &Claim, error: &str) -> Result<(), StoreError> {
        let ended = self.ended(claim.head.dead(&cut_error(error)))?;
        self.commit_step(&steps::bury(&self.names, claim, ended)).await
    }

    async fn state(&self, key: &QueuedCallKey) -> Result<Option<QueuedCallState>, StoreError> {
        check_key(key)?;
        let answer = self.client.transact(LOOK, &steps::look(&self.names, key)).await?;
        let found = steps::QueuedCallRecords::of(&answer);
        if let Some(head) = found.head {
            let head = self.read(QueuedCallKeyKind::Head, key, &head)?;
            let state =
                if found.is_claimed { QueuedCallState::Claimed } else { QueuedCallState::Queued };
            return Ok(Some(state(head)));
        }
        if let Some(dead) = found.dead {
            return self
                .read(QueuedCallKeyKind::Dead, key, &dead)
                .map(|dead| Some(QueuedCallState::Dead(dead)));
        }
        let Some((result, (content_type, payload))) = found.result.zip(found.answer) else {
            return Ok(None);
        };
        let answer = QueuedCallResult { payload, content_type };
        Ok(Some(QueuedCallState::Done(self.read(QueuedCallKeyKind::Result, key, &result)?, answer)))
    }

    async fn dead_letters(
        &self,
        task: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(QueuedCallKey, EndedQueuedCall)>, StoreError> {
        check_task(task)?;
        let mut dead: Vec<(QueuedCallKey, EndedQueuedCall)> = Vec::new();
        let mut after = after.map(str::to_owned);
        while dead.len() < limit {
            let size = PAGE.min(limit - dead.len());
            let page =
                self.page(DEAD, QueuedCallKeyKind::Dead, task, after.as_deref(), size).await?;
            let whole = page.len() < size;
            for kv in page {
                let Some(key) = self.names.call_of(QueuedCallKeyKind::Dead, kv.key()) else {
                    continue;
                };
                after = Some(key.id.to_string());
                match self.read(QueuedCallKeyKind::Dead, &key, kv.value()) {
                    Ok(ended) => dead.push((key, ended)),
                    Err(error) => {
                        tracing::warn!(error = with_causes(&error), "a dead letter is left out");
                    }
                }
            }
            if whole {
                break;
            }
        }
        Ok(dead)
    }

    async fn replay(&self, key: &QueuedCallKey) -> Result<bool, StoreError> {
        check_key(key)?;
        loop {
            let found = self.client.transact(REPLAY, &steps::look(&self.names, key)).await?;
            let found = steps::QueuedCallRecords::of(&found);
            let Some(dead) = found.dead else { return Ok(false) };
            let ended: EndedQueuedCall = self.read(QueuedCallKeyKind::Dead, key, &dead)?;
            let head = self.client.json(REPLAY, &ended.head.replayed())?;
            let step = steps::replay(&self.names, key, found.dead_version, head);
            if self.client.transact(REPLAY, &step).await?.succeeded() {
                return Ok(true);
            }
        }
    }

    async fn purge(&self, key: &QueuedCallKey) -> Result<bool, StoreError> {
        check_key(key)?;
        let step = steps::purge(&self.names, std::slice::from_ref(key));
        Ok(self.client.transact(PURGE, &step).await?.succeeded())
    }

    async fn purge_all(&self, task: &str) -> Result<usize, StoreError> {
        check_task(task)?;
        let mut purged = 0;
        loop {
            let page = self.page(PURGE, QueuedCallKeyKind::Dead, task, None, BATCH).await?;
            let keys =
                page.iter().filter_map(|kv| self.names.call_of(QueuedCallKeyKind::Dead, kv.key()));
            let keys: Vec<_> = keys.collect();
            if keys.is_empty() {
                return Ok(purged);
            }
            if self.client.transact(PURGE, &steps::purge(&self.names, &keys)).await?.succeeded() {
                purged += keys.len();
            }
            // Otherwise somebody replayed or purged one of them in the meantime.
        }
    }
}
