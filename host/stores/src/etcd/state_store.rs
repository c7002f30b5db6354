//! The state of actions, as etcd keys.
//!
//! Invariants:
//! - Every write is one transaction that compares the leader's key; nothing is
//!   put or deleted in any other way.
//! - A write that may have been carried out is never sent again: a second time
//!   it would undo what was written in between, and with a version to compare
//!   it would be called a conflict although it was made.
//!
//! etcd's transactions cannot compare the number of keys. So a write first
//! compares that the keys which it puts exist: it then makes none, and is done
//! in one round trip. Where that fails, etcd tells what there is, and a second
//! transaction makes the keys if there is room. Creations that run at the same
//! time may therefore pass the limit by what each of them makes.

use std::sync::OnceLock;

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{
    Client as Connection, Error, GetOptions, KvClient, SortOrder, SortTarget, Txn, TxnOp,
    TxnOpResponse,
};

use super::{
    client::EtcdClient,
    error_meaning::{ErrorMeaning, meaning, was_not_processed},
    has_header::WithHeader,
    keys::{EtcdKeys, KeyRange, StateArea},
    state_transaction::{StateTransaction, WriteOutcome},
};
use crate::{
    BATCH_MAX, Guard, KEY_MAX, StateEntry, StateStore, StoreError, VALUE_MAX, Write,
    state_store::{check_keys, check_writes, too_many_keys},
};

/// The largest answer: as many values as one call reads, and their keys.
const ANSWER_MAX: usize = BATCH_MAX * (VALUE_MAX + 4 * KEY_MAX);
/// How many keys are asked for at once, so that an answer stays small.
const PAGE: usize = 1000;

const READ: &str = "read state";
const LIST: &str = "list state";
const WRITE: &str = "write state";

/// The state of one cluster's actions.
pub(super) struct EtcdStateStore {
    /// Of its own: what plugins do never ends a turn of the session's.
    client: EtcdClient,
    keys: EtcdKeys,
    room: StateArea,
}

impl EtcdStateStore {
    pub(super) const fn new(client: EtcdClient, keys: EtcdKeys, room: StateArea) -> Self {
        Self { client, keys, room }
    }
}

#[async_trait]
impl StateStore for EtcdStateStore {
    async fn get(
        &self,
        action: &str,
        keys: &[String],
    ) -> Result<Vec<Option<StateEntry>>, StoreError> {
        let KeyRange { first, .. } = self.keys.state_range(self.room, action)?;
        check_keys(keys.iter())?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let get = |etcd: Connection| {
            let gets = keys.iter().map(|key| TxnOp::get(format!("{first}{key}"), None));
            let txn = Txn::new().and_then(gets.collect::<Vec<_>>());
            async move { kv(&etcd).txn(txn).await }
        };
        let found = self.client.call(READ, get).await?;
        Ok(found.op_responses().into_iter().map(entry).collect())
    }

    async fn list(
        &self,
        action: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let range = self.keys.state_range(self.room, action)?;
        let list = |etcd: Connection| list(etcd, &range, after, limit);
        Ok(self.client.call(LIST, list).await?.value)
    }

    async fn write(
        &self,
        guard: Guard<'_>,
        action: &str,
        writes: &[Write],
    ) -> Result<(), StoreError> {
        let range = self.keys.state_range(self.room, action)?;
        check_writes(writes)?;
        let plan = StateTransaction::new(guard, range, writes);
        // What the first member said that may have carried the write out.
        let doubt = OnceLock::new();
        let write = |etcd: Connection| async {
            if let Some(doubt) = doubt.get() {
                return Ok(WithHeader::without_header(WriteOutcome::Doubtful(String::clone(
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
            WriteOutcome::Done => Ok(()),
            WriteOutcome::NotLeader => Err(StoreError::NotLeader),
            WriteOutcome::Conflict => Err(StoreError::Conflict),
            WriteOutcome::Full => Err(StoreError::Limit(too_many_keys(action))),
            WriteOutcome::Doubtful(told) => Err(self.client.unavailable(WRITE, told)),
        }
    }
}

/// Up to `limit` keys of `range` after `after`.
async fn list(
    etcd: Connection,
    range: &KeyRange,
    after: Option<&str>,
    limit: usize,
) -> Result<WithHeader<Vec<String>>, Error> {
    let mut header = None;
    let mut keys: Vec<String> = Vec::new();
    while keys.len() < limit {
        let page = PAGE.min(limit - keys.len());
        let options = GetOptions::new()
            .with_range(range.end.as_str())
            .with_keys_only()
            .with_sort(SortTarget::Key, SortOrder::Ascend)
            // Zero would mean all.
            .with_limit(i64::try_from(page).unwrap_or(i64::MAX));
        // The first name after a name is the same with a zero byte.
        let from = match keys.last().map(String::as_str).or(after) {
            Some(last) => format!("{}{last}\0", range.first),
            None => range.first.clone(),
        };
        let found = kv(&etcd).get(from, Some(options)).await?;
        header = found.header().cloned();
        let names =
            found.kvs().iter().filter_map(|kv| kv.key().strip_prefix(range.first.as_bytes()));
        // What is no text was not written by an action.
        keys.extend(names.filter_map(|name| String::from_utf8(name.to_vec()).ok()));
        if !found.more() {
            break;
        }
    }
    Ok(WithHeader { header, value: keys })
}

/// Makes the writes of `plan`, or tells why not.
async fn carry_out(
    etcd: Connection,
    plan: &StateTransaction<'_>,
) -> Result<WithHeader<WriteOutcome>, Error> {
    let update = plan.update();
    let updates = update.is_some();
    let answer = kv(&etcd).txn(update.unwrap_or_else(|| plan.look())).await?;
    if updates && answer.succeeded() {
        return Ok(WithHeader::of(&answer, WriteOutcome::Done));
    }
    if let Some(refusal) = plan.refusal(&answer) {
        return Ok(WithHeader::of(&answer, refusal));
    }
    let answer = kv(&etcd).txn(plan.create()).await?;
    if answer.succeeded() {
        return Ok(WithHeader::of(&answer, WriteOutcome::Done));
    }
    // Something changed between the two; what is not seen any more is a conflict too.
    let verdict = plan.refusal(&answer).unwrap_or(WriteOutcome::Conflict);
    Ok(WithHeader::of(&answer, verdict))
}

fn kv(etcd: &Connection) -> KvClient {
    etcd.kv_client().max_decoding_message_size(ANSWER_MAX)
}

fn entry(answer: TxnOpResponse) -> Option<StateEntry> {
    let TxnOpResponse::Get(mut found) = answer else { return None };
    let kv = found.take_kvs().pop()?;
    let version = kv.mod_revision();
    let (_, value) = kv.into_key_value();
    Some(StateEntry { value: Bytes::from(value), version })
}
