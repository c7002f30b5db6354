//! The state of actions, stored as etcd keys.
//!
//! Invariants:
//!
//! - Every write is one transaction that compares the leader's key; nothing is put or deleted in
//!   any other way.
//! - A write that may have been carried out is never sent again. A second time it could undo what
//!   was written in between; or, if it compares a version, it would be reported as a conflict
//!   although it was made.
//!
//! etcd's transactions cannot compare the number of keys. So a write first compares that all keys
//! to be put exist: then it creates none, and is done in one round trip. If that fails, etcd
//! returns what exists, and a second transaction creates the keys if there is room. So concurrent
//! creations may exceed the limit by the keys that each of them creates.

use std::sync::OnceLock;

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{Client as Connection, Error, KeyValue, Txn, TxnOp, TxnOpResponse};

use super::{
    client::EtcdClient,
    error_meaning::{ErrorMeaning, meaning, was_not_processed},
    has_header::WithHeader,
    keys::{EtcdKeys, KeyRange},
    range::{RangePages, VALUES, page_options, page_start},
    requests::kv,
    state_transaction::{StateTransaction, StateWriteOutcome},
};
use crate::{
    StateEntry, StateStore, StateWrite, StoreError, WriteGuard,
    state_store::{LIST, MEASURE, READ, StateArea, WRITE, check_keys, check_writes, too_many_keys},
};

/// How many keys are requested at once, to keep responses small.
const PAGE: usize = 1000;

/// The state of one cluster's actions.
pub(super) struct EtcdStateStore {
    /// A client of its own, so that plugins' calls never end a turn of the session's client.
    client: EtcdClient,
    keys: EtcdKeys,
    area: StateArea,
}

impl EtcdStateStore {
    pub(super) const fn new(client: EtcdClient, keys: EtcdKeys, area: StateArea) -> Self {
        Self { client, keys, area }
    }
}

#[async_trait]
impl StateStore for EtcdStateStore {
    async fn get(
        &self,
        action: &str,
        keys: &[String],
    ) -> Result<Vec<Option<StateEntry>>, StoreError> {
        let KeyRange { first, .. } = self.keys.state_range(self.area, action)?;
        check_keys(keys.iter())?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let gets = keys.iter().map(|key| TxnOp::get(format!("{first}{key}"), None));
        let txn = Txn::new().and_then(gets.collect::<Vec<_>>());
        let found = self.client.transact(READ, &txn).await?;
        Ok(found.op_responses().into_iter().map(entry).collect())
    }

    async fn list(
        &self,
        action: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let range = self.keys.state_range(self.area, action)?;
        let list = |etcd: Connection| list(etcd, &range, after, limit);
        Ok(self.client.call(LIST, list).await?.value)
    }

    async fn size(&self, action: &str) -> Result<u64, StoreError> {
        let range = self.keys.state_range(self.area, action)?;
        let kept = |kv: &KeyValue| kv.key().len() - range.first.len() + kv.value().len();
        let (mut pages, mut size) =
            (RangePages::new(&self.client, MEASURE, &range, 0).with_page(VALUES), 0);
        while let Some(page) = pages.next().await? {
            size += page.iter().map(kept).sum::<usize>();
        }
        Ok(size as u64)
    }

    async fn write(
        &self,
        guard: WriteGuard<'_>,
        action: &str,
        writes: &[StateWrite],
    ) -> Result<i64, StoreError> {
        let range = self.keys.state_range(self.area, action)?;
        check_writes(writes)?;
        let plan = StateTransaction::new(guard, range, writes);
        // The error of the first member that may have carried the write out.
        let doubt = OnceLock::new();
        let write = |etcd: Connection| async {
            if let Some(doubt) = doubt.get() {
                return Ok(WithHeader::without_header(StateWriteOutcome::Doubtful(String::clone(
                    doubt,
                ))));
            }
            carry_out(etcd, &plan).await.inspect_err(|error| {
                if meaning(error) == ErrorMeaning::Unavailable && !was_not_processed(error) {
                    doubt.get_or_init(|| error.to_string());
                }
            })
        };
        match self.client.call(WRITE, write).await?.value {
            StateWriteOutcome::Done(growth) => Ok(growth),
            StateWriteOutcome::NotLeader => Err(StoreError::NotLeader),
            StateWriteOutcome::Conflict => Err(StoreError::Conflict),
            StateWriteOutcome::Full => Err(StoreError::Limit(too_many_keys(action))),
            StateWriteOutcome::Doubtful(error) => Err(self.client.unavailable(WRITE, error)),
        }
    }
}

/// Up to `limit` keys of `range` after the key `after`.
async fn list(
    etcd: Connection,
    range: &KeyRange,
    after: Option<&str>,
    limit: usize,
) -> Result<WithHeader<Vec<String>>, Error> {
    let mut header = None;
    let mut keys: Vec<String> = Vec::new();
    while keys.len() < limit {
        // At least one key, since etcd takes a limit of zero to mean all keys.
        let page = PAGE.min(limit - keys.len());
        let options =
            page_options(&range.end, i64::try_from(page).unwrap_or(i64::MAX)).with_keys_only();
        let from = page_start(range, keys.last().map(String::as_str).or(after));
        let found = kv(&etcd).get(from, Some(options)).await?;
        header = found.header().cloned();
        let names =
            found.kvs().iter().filter_map(|kv| kv.key().strip_prefix(range.first.as_bytes()));
        // A key that is not UTF-8 was not written by an action.
        keys.extend(names.filter_map(|name| String::from_utf8(name.to_vec()).ok()));
        if !found.more() {
            break;
        }
    }
    Ok(WithHeader { header, value: keys })
}

/// Makes the writes of `plan`, or returns why it cannot.
async fn carry_out(
    etcd: Connection,
    plan: &StateTransaction<'_>,
) -> Result<WithHeader<StateWriteOutcome>, Error> {
    let update = plan.update();
    let updates = update.is_some();
    let answer = kv(&etcd).txn(update.unwrap_or_else(|| plan.look())).await?;
    if updates && answer.succeeded() {
        return Ok(WithHeader::of(&answer, StateWriteOutcome::Done(plan.growth(&answer))));
    }
    if let Some(refusal) = plan.refusal(&answer) {
        return Ok(WithHeader::of(&answer, refusal));
    }
    let answer = kv(&etcd).txn(plan.create()).await?;
    if answer.succeeded() {
        return Ok(WithHeader::of(&answer, StateWriteOutcome::Done(plan.growth(&answer))));
    }
    // Something changed between the two transactions; if the reason is no longer visible, it counts
    // as a conflict.
    let verdict = plan.refusal(&answer).unwrap_or(StateWriteOutcome::Conflict);
    Ok(WithHeader::of(&answer, verdict))
}

fn entry(answer: TxnOpResponse) -> Option<StateEntry> {
    let TxnOpResponse::Get(mut found) = answer else { return None };
    let kv = found.take_kvs().pop()?;
    let version = kv.mod_revision();
    let (_, value) = kv.into_key_value();
    Some(StateEntry { value: Bytes::from(value), version })
}
