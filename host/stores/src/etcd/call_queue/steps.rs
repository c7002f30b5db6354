//! The transactions that take a queued call from one state to the next.

use bytes::Bytes;
use etcd_client::{Compare, CompareOp, KeyValue, PutOptions, Txn, TxnOp, TxnResponse};
use serde::{Deserialize, Serialize};

use super::queued_call_keys::{QueuedCallKeyKind, QueuedCallKeys};
use crate::{
    CallClaimer, Claim, QueuedCallKey, QueuedCallResult, WaitingCall, etcd::txn_reads::first_key,
};
use soloist_heart::LeaseId;

/// The value of a claim's key.
#[derive(Serialize, Deserialize)]
struct ClaimRecord<'a> {
    host: &'a str,
    ticket: u64,
}

/// New to queued, unless the queued call exists already.
pub(super) fn put(
    names: &QueuedCallKeys,
    key: &QueuedCallKey,
    head: Vec<u8>,
    payload: &[u8],
) -> Txn {
    let absent = [QueuedCallKeyKind::Head, QueuedCallKeyKind::Dead, QueuedCallKeyKind::Result]
        .map(|kind| absent(names, kind, key));
    Txn::new().when(absent).and_then([
        TxnOp::put(names.key(QueuedCallKeyKind::Payload, key), payload, None),
        TxnOp::put(names.key(QueuedCallKeyKind::Head, key), head, None),
    ])
}

/// Queued to claimed. If that fails, reads who has the claim.
pub(super) fn claim(
    names: &QueuedCallKeys,
    by: &CallClaimer,
    queued: &WaitingCall,
    head: Vec<u8>,
) -> Txn {
    let key = &queued.key;
    let (at_head, at_claim) =
        (names.key(QueuedCallKeyKind::Head, key), names.key(QueuedCallKeyKind::Claim, key));
    let payload = names.key(QueuedCallKeyKind::Payload, key);
    let under = PutOptions::new().with_lease(by.lease.0);
    Txn::new()
        .when([
            Compare::mod_revision(at_head.as_str(), CompareOp::Equal, queued.version),
            absent(names, QueuedCallKeyKind::Claim, key),
            Compare::create_revision(payload.as_str(), CompareOp::Greater, 0),
        ])
        .and_then([
            TxnOp::get(payload.as_str(), None),
            TxnOp::put(at_head, head, None),
            TxnOp::put(at_claim.as_str(), ticket(by), Some(under)),
        ])
        .or_else([TxnOp::get(payload, None), TxnOp::get(at_claim, None)])
}

/// The version and payload of the claim that `by` holds, if it does.
pub(super) fn claimed(answer: &TxnResponse, by: &CallClaimer) -> Option<(i64, Bytes)> {
    let found = answer.op_responses();
    let payload = Bytes::copy_from_slice(first_key(found.first())?.value());
    if answer.succeeded() {
        return Some((answer.header()?.revision(), payload));
    }
    // An earlier attempt of the same call may have made the claim.
    let claim = first_key(found.get(1))?;
    let ours = claim.lease() == by.lease.0 && claim.value() == ticket(by);
    ours.then(|| (claim.create_revision(), payload))
}

/// Claimed to done. The answer is kept as long as `lease`.
pub(super) fn done(
    names: &QueuedCallKeys,
    claim: &Claim,
    ended: Vec<u8>,
    answer: &QueuedCallResult,
    lease: LeaseId,
) -> Txn {
    let key = &claim.key;
    let under = || Some(PutOptions::new().with_lease(lease.0));
    Txn::new().when([claim_stands(names, claim)]).and_then([
        TxnOp::delete(names.key(QueuedCallKeyKind::Claim, key), None),
        TxnOp::delete(names.key(QueuedCallKeyKind::Head, key), None),
        TxnOp::delete(names.key(QueuedCallKeyKind::Payload, key), None),
        TxnOp::put(
            names.key(QueuedCallKeyKind::Answer, key),
            with_content_type(answer.content_type.as_deref(), &answer.payload),
            under(),
        ),
        TxnOp::put(names.key(QueuedCallKeyKind::Result, key), ended, under()),
    ])
}

/// Claimed to queued.
pub(super) fn again(names: &QueuedCallKeys, claim: &Claim, head: Vec<u8>) -> Txn {
    Txn::new().when([claim_stands(names, claim)]).and_then([
        TxnOp::delete(names.key(QueuedCallKeyKind::Claim, &claim.key), None),
        TxnOp::put(names.key(QueuedCallKeyKind::Head, &claim.key), head, None),
    ])
}

/// Claimed to dead.
pub(super) fn bury(names: &QueuedCallKeys, claim: &Claim, ended: Vec<u8>) -> Txn {
    Txn::new().when([claim_stands(names, claim)]).and_then([
        TxnOp::delete(names.key(QueuedCallKeyKind::Claim, &claim.key), None),
        TxnOp::delete(names.key(QueuedCallKeyKind::Head, &claim.key), None),
        TxnOp::put(names.key(QueuedCallKeyKind::Dead, &claim.key), ended, None),
    ])
}

/// Dead, as it was at `version`, to queued.
pub(super) fn replay(
    names: &QueuedCallKeys,
    key: &QueuedCallKey,
    version: i64,
    head: Vec<u8>,
) -> Txn {
    let dead = names.key(QueuedCallKeyKind::Dead, key);
    let same = Compare::mod_revision(dead.as_str(), CompareOp::Equal, version);
    Txn::new().when([same]).and_then([
        TxnOp::delete(dead, None),
        TxnOp::put(names.key(QueuedCallKeyKind::Head, key), head, None),
    ])
}

/// Deletes dead letters: all of `keys`, or none.
pub(super) fn purge(names: &QueuedCallKeys, keys: &[QueuedCallKey]) -> Txn {
    let dead = |key| {
        Compare::create_revision(names.key(QueuedCallKeyKind::Dead, key), CompareOp::Greater, 0)
    };
    let kinds = [QueuedCallKeyKind::Dead, QueuedCallKeyKind::Payload];
    let deletions = keys.iter().flat_map(|key| kinds.map(|kind| names.key(kind, key)));
    let deletions = deletions.map(|name| TxnOp::delete(name, None));
    Txn::new()
        .when(keys.iter().map(dead).collect::<Vec<_>>())
        .and_then(deletions.collect::<Vec<_>>())
}

/// Deletes results and answers.
pub(super) fn forget(names: &QueuedCallKeys, keys: impl Iterator<Item = QueuedCallKey>) -> Txn {
    let kinds = [QueuedCallKeyKind::Answer, QueuedCallKeyKind::Result];
    let deletions =
        keys.flat_map(|key| kinds.map(|kind| TxnOp::delete(names.key(kind, &key), None)));
    Txn::new().and_then(deletions.collect::<Vec<_>>())
}

/// Reads everything about a queued call.
pub(super) fn look(names: &QueuedCallKeys, key: &QueuedCallKey) -> Txn {
    let kinds = [
        QueuedCallKeyKind::Head,
        QueuedCallKeyKind::Claim,
        QueuedCallKeyKind::Dead,
        QueuedCallKeyKind::Result,
        QueuedCallKeyKind::Answer,
    ];
    Txn::new().and_then(kinds.map(|kind| TxnOp::get(names.key(kind, key), None)))
}

/// The result of [`look`].
pub(super) struct QueuedCallRecords {
    pub(super) head: Option<Bytes>,
    pub(super) is_claimed: bool,
    pub(super) dead: Option<Bytes>,
    pub(super) dead_version: i64,
    pub(super) result: Option<Bytes>,
    pub(super) answer: Option<(Option<String>, Bytes)>,
}

impl QueuedCallRecords {
    pub(super) fn of(answer: &TxnResponse) -> Self {
        let found = answer.op_responses();
        let value = |i| first_key(found.get(i)).map(|kv| Bytes::copy_from_slice(kv.value()));
        Self {
            head: value(0),
            is_claimed: first_key(found.get(1)).is_some(),
            dead: value(2),
            dead_version: first_key(found.get(2)).map_or(0, KeyValue::mod_revision),
            result: value(3),
            answer: value(4).map(split_content_type),
        }
    }
}

fn absent(names: &QueuedCallKeys, kind: QueuedCallKeyKind, key: &QueuedCallKey) -> Compare {
    Compare::create_revision(names.key(kind, key), CompareOp::Equal, 0)
}

fn claim_stands(names: &QueuedCallKeys, claim: &Claim) -> Compare {
    let name = names.key(QueuedCallKeyKind::Claim, &claim.key);
    Compare::create_revision(name, CompareOp::Equal, claim.version)
}

fn ticket(by: &CallClaimer) -> Vec<u8> {
    let ticket = ClaimRecord { host: &by.host, ticket: by.ticket };
    // A text and a number can always be written as JSON.
    serde_json::to_vec(&ticket).unwrap_or_default()
}

/// The stored form of an answer: its content type on a line of its own, then the payload.
pub(in crate::etcd) fn with_content_type(content_type: Option<&str>, answer: &[u8]) -> Vec<u8> {
    let form = content_type.unwrap_or_default().replace('\n', " ");
    [form.as_bytes(), b"\n", answer].concat()
}

/// The content type and the payload of a stored answer.
pub(in crate::etcd) fn split_content_type(value: Bytes) -> (Option<String>, Bytes) {
    let end = value.iter().position(|byte| *byte == b'\n').unwrap_or(value.len());
    let form = String::from_utf8_lossy(&value[..end]).into_owned();
    (Some(form).filter(|form| !form.is_empty()), value.slice((end + 1).min(value.len())..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_its_form_or_none() {
        for (form, answer) in [(Some("text/plain"), "a\nb"), (None, ""), (None, "\n")] {
            let (found, rest) =
                split_content_type(with_content_type(form, answer.as_bytes()).into());
            assert_eq!((found.as_deref(), &*rest), (form, answer.as_bytes()));
        }
    }
}
