//! Casts, stored as etcd keys.
//!
//! Each step is one transaction that compares the keys of the state it starts from, so a step that
//! is sent twice takes effect once. etcd's transactions cannot compare the number of keys: whether
//! there is room for a cast is read before it is put, so casts that are put at the same moment do
//! not count each other.

mod cast_keys;
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

use self::cast_keys::{CastKeyKind, CastKeys};
use super::{
    client::{EtcdClient, SharedClient},
    keys::EtcdKeys,
    range::{page_options, page_start},
    txn_reads::key_count,
};
use crate::{
    CastAnswer, CastClaimer, CastHeader, CastKey, CastRequest, CastRetry, CastState, CastStore,
    CastStream, Claim, EndedCast, QueuedCast, StoreError,
    cast::{
        ANSWERS_MAX, AnswerLeases, check_answer, check_capacity, check_key, check_request,
        check_task, cut_error,
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

const PUT: &str = "queue a cast";
const CLAIM: &str = "claim a cast";
const SETTLE: &str = "write what came of a cast";
const LOOK: &str = "look at a cast";
const DEAD: &str = "list dead letters";
const REPLAY: &str = "replay a dead letter";
const PURGE: &str = "purge dead letters";

/// The casts of one cluster.
pub(super) struct EtcdCastStore {
    /// A client of its own, so that the tasks' calls never end a turn of the session's client.
    client: SharedClient,
    names: CastKeys,
    answer_leases: AnswerLeases,
    /// Counts the answers written.
    answers: AtomicU32,
}

impl EtcdCastStore {
    pub(super) fn new(client: EtcdClient, keys: &EtcdKeys) -> Self {
        let (names, answer_leases) = (CastKeys::new(keys), AnswerLeases::default());
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

    /// Deletes the answers of the oldest casts if there are too many.
    async fn delete_excess_answers(&self, task: &str) -> Result<(), StoreError> {
        let [results] = self.count(SETTLE, task, [CastKeyKind::Result]).await?;
        if results <= ANSWERS_MAX {
            return Ok(());
        }
        let over = (results - ANSWERS_MAX).min(2 * LOOK_EVERY as usize);
        let oldest = self.page(SETTLE, CastKeyKind::Result, task, None, over).await?;
        for some in oldest.chunks(BATCH) {
            let keys =
                some.iter().filter_map(|kv| self.names.cast_of(CastKeyKind::Result, kv.key()));
            self.client.transact(SETTLE, &steps::forget(&self.names, keys)).await?;
        }
        Ok(())
    }

    /// How many casts of a task have a key of each of these kinds.
    async fn count<const N: usize>(
        &self,
        attempted: &'static str,
        task: &str,
        kinds: [CastKeyKind; N],
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
        kind: CastKeyKind,
        task: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KeyValue>, StoreError> {
        let range = self.names.task_range(kind, task);
        let options = page_options(&range, i64::try_from(limit).unwrap_or(i64::MAX));
        let from = page_start(&range, after);
        Ok(self.client.get(attempted, &from, &options).await?.take_kvs())
    }

    fn ended(&self, head: CastHeader) -> Result<Vec<u8>, StoreError> {
        self.client.json(SETTLE, &EndedCast { head, at: soloist_heart::clock::unix_ms() })
    }

    /// Parses what soloist wrote about the cast `key`. Anything else is refused, since waiting
    /// would not help.
    fn read<T: serde::de::DeserializeOwned>(
        &self,
        kind: CastKeyKind,
        key: &CastKey,
        value: &[u8],
    ) -> Result<T, StoreError> {
        serde_json::from_slice(value).map_err(|error| StoreError::Refused {
            problem: format!(
                "the store holds what soloist has not written, under the key `{}`: delete it",
                self.names.key(kind, key)
            ),
            source: Some(error.into()),
        })
    }
}

#[async_trait]
impl CastStore for EtcdCastStore {
    async fn put(
        &self,
        key: &CastKey,
        request: &CastRequest,
        limit: usize,
    ) -> Result<(), StoreError> {
        check_key(key)?;
        check_request(request)?;
        let [queued, dead] =
            self.count(PUT, &key.task, [CastKeyKind::Head, CastKeyKind::Dead]).await?;
        check_capacity(&key.task, queued, dead, limit)?;
        let head = self.client.json(PUT, &CastHeader::of(request))?;
        let put = steps::put(&self.names, key, head, &request.payload);
        // If the transaction did not succeed, an earlier attempt has put the cast.
        self.client.transact(PUT, &put).await.map(drop)
    }

    async fn watch(&self) -> Result<CastStream, StoreError> {
        watch::watch(self.client.clone(), self.names.clone()).await
    }

    async fn claim(
        &self,
        by: &CastClaimer,
        queued: &QueuedCast,
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
        answer: &CastAnswer,
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

    async fn requeue(&self, claim: &Claim, again: &CastRetry) -> Result<(), StoreError> {
        let head = self.client.json(SETTLE, &claim.head.requeued(again))?;
        self.commit_step(&steps::again(&self.names, claim, head)).await
    }

    async fn mark_dead(&self, claim: &Claim, error: &str) -> Result<(), StoreError> {
        let ended = self.ended(claim.head.dead(&cut_error(error)))?;
        self.commit_step(&steps::bury(&self.names, claim, ended)).await
    }

    async fn state(&self, key: &CastKey) -> Result<Option<CastState>, StoreError> {
        check_key(key)?;
        let answer = self.client.transact(LOOK, &steps::look(&self.names, key)).await?;
        let found = steps::CastRecords::of(&answer);
        if let Some(head) = found.head {
            let head = self.read(CastKeyKind::Head, key, &head)?;
            let state = if found.is_claimed { CastState::Claimed } else { CastState::Queued };
            return Ok(Some(state(head)));
        }
        if let Some(dead) = found.dead {
            return self
                .read(CastKeyKind::Dead, key, &dead)
                .map(|dead| Some(CastState::Dead(dead)));
        }
        let Some((result, (content_type, payload))) = found.result.zip(found.answer) else {
            return Ok(None);
        };
        let answer = CastAnswer { payload, content_type };
        Ok(Some(CastState::Done(self.read(CastKeyKind::Result, key, &result)?, answer)))
    }

    async fn dead_letters(
        &self,
        task: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(CastKey, EndedCast)>, StoreError> {
        check_task(task)?;
        let mut dead: Vec<(CastKey, EndedCast)> = Vec::new();
        let mut after = after.map(str::to_owned);
        while dead.len() < limit {
            let size = PAGE.min(limit - dead.len());
            let page = self.page(DEAD, CastKeyKind::Dead, task, after.as_deref(), size).await?;
            let whole = page.len() < size;
            for kv in page {
                let Some(key) = self.names.cast_of(CastKeyKind::Dead, kv.key()) else { continue };
                after = Some(key.id.to_string());
                match self.read(CastKeyKind::Dead, &key, kv.value()) {
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

    async fn replay(&self, key: &CastKey) -> Result<bool, StoreError> {
        check_key(key)?;
        loop {
            let found = self.client.transact(REPLAY, &steps::look(&self.names, key)).await?;
            let found = steps::CastRecords::of(&found);
            let Some(dead) = found.dead else { return Ok(false) };
            let ended: EndedCast = self.read(CastKeyKind::Dead, key, &dead)?;
            let head = self.client.json(REPLAY, &ended.head.replayed())?;
            let step = steps::replay(&self.names, key, found.dead_version, head);
            if self.client.transact(REPLAY, &step).await?.succeeded() {
                return Ok(true);
            }
        }
    }

    async fn purge(&self, key: &CastKey) -> Result<bool, StoreError> {
        check_key(key)?;
        let step = steps::purge(&self.names, std::slice::from_ref(key));
        Ok(self.client.transact(PURGE, &step).await?.succeeded())
    }

    async fn purge_all(&self, task: &str) -> Result<usize, StoreError> {
        check_task(task)?;
        let mut purged = 0;
        loop {
            let page = self.page(PURGE, CastKeyKind::Dead, task, None, BATCH).await?;
            let keys = page.iter().filter_map(|kv| self.names.cast_of(CastKeyKind::Dead, kv.key()));
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
