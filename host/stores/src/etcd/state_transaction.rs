//! The transactions for one write of state, and the meaning of their responses.

use etcd_client::{
    Compare, CompareOp, DeleteOptions, GetOptions, KeyValue, PutOptions, Txn, TxnOp, TxnOpResponse,
    TxnResponse,
};

use super::{
    keys::KeyRange,
    txn_reads::{first_key, key_count},
};
use crate::{StateWrite, WriteGuard, state_store::StateGrowth};
use soloist_heart::LeaderKey;

/// The outcome of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StateWriteOutcome {
    /// By how many bytes the state has grown.
    Done(i64),
    NotLeader,
    Conflict,
    /// There is no room for the keys that it would create.
    Full,
    /// It may have been carried out; this is the error.
    Doubtful(String),
}

/// What is to be written, and what must hold at that moment.
pub(super) struct StateTransaction<'a> {
    leader: Option<&'a LeaderKey>,
    range: KeyRange,
    writes: &'a [StateWrite],
}

impl<'a> StateTransaction<'a> {
    pub(super) const fn new(
        guard: WriteGuard<'a>,
        range: KeyRange,
        writes: &'a [StateWrite],
    ) -> Self {
        let leader = match guard {
            WriteGuard::Leader(key) => Some(key),
            WriteGuard::Person => None,
        };
        Self { leader, range, writes }
    }

    /// The transaction that writes if every key to be put exists. `None` if a key is put that must
    /// not exist.
    pub(super) fn update(&self) -> Option<Txn> {
        let makes = |write: &StateWrite| write.value.is_some() && write.only_if == Some(0);
        if self.writes.iter().any(makes) {
            return None;
        }
        // At most one comparison per key, since etcd allows 128 of them: a version other than zero
        // implies that the key exists.
        let exist = self.writes.iter().filter(|w| w.value.is_some() && w.only_if.is_none());
        let exist =
            exist.map(|write| Compare::create_revision(self.name(write), CompareOp::Greater, 0));
        let compares = self.compares().chain(exist).collect::<Vec<_>>();
        Some(Txn::new().when(compares).and_then(self.changes()).or_else(self.reads()))
    }

    /// The transaction that writes whether the keys exist or not.
    pub(super) fn create(&self) -> Txn {
        let compares = self.compares().collect::<Vec<_>>();
        Txn::new().when(compares).and_then(self.changes()).or_else(self.reads())
    }

    /// The transaction that only reads.
    pub(super) fn look(&self) -> Txn {
        Txn::new().and_then(self.reads())
    }

    /// By how many bytes the state has grown, judging by the values that the writes have replaced.
    pub(super) fn growth(&self, answer: &TxnResponse) -> i64 {
        let mut growth = StateGrowth::default();
        for (write, replaced) in self.writes.iter().zip(answer.op_responses()) {
            let before = match &replaced {
                TxnOpResponse::Put(replaced) => replaced.prev_key(),
                TxnOpResponse::Delete(replaced) => replaced.prev_kvs().first(),
                _ => None,
            };
            growth.count(write, before.map(|before| before.value().len()));
        }
        growth.bytes()
    }

    /// Why the writes cannot be made, judging by what the transaction has read.
    pub(super) fn refusal(&self, answer: &TxnResponse) -> Option<StateWriteOutcome> {
        let found = answer.op_responses();
        let mut found = found.iter();
        if let Some(leader) = self.leader
            && create_revision(found.next()) != leader.create_revision
        {
            return Some(StateWriteOutcome::NotLeader);
        }
        let kept = key_count(found.next());
        let mut growth = StateGrowth::default();
        for write in self.writes {
            let version = mod_revision(found.next());
            if write.only_if.is_some_and(|wanted| wanted != version) {
                return Some(StateWriteOutcome::Conflict);
            }
            // The lengths do not matter here.
            growth.count(write, (version != 0).then_some(0));
        }
        growth.exceeds(kept).then_some(StateWriteOutcome::Full)
    }

    /// What must hold: the guard and the versions. In comparisons, etcd takes a missing key's
    /// revision as zero.
    fn compares(&self) -> impl Iterator<Item = Compare> {
        let guard = self
            .leader
            .map(|key| Compare::create_revision(&*key.key, CompareOp::Equal, key.create_revision));
        let versions = self.writes.iter().filter_map(|write| {
            Some(Compare::mod_revision(self.name(write), CompareOp::Equal, write.only_if?))
        });
        guard.into_iter().chain(versions)
    }

    fn changes(&self) -> Vec<TxnOp> {
        // The former values tell by how much the state grows.
        let (put, delete) = (PutOptions::new(), DeleteOptions::new());
        let (put, delete) = (put.with_prev_key(), delete.with_prev_key());
        let change = |write: &StateWrite| match &write.value {
            Some(value) => TxnOp::put(self.name(write), value.as_ref(), Some(put.clone())),
            None => TxnOp::delete(self.name(write), Some(delete.clone())),
        };
        self.writes.iter().map(change).collect()
    }

    /// Reads the leader's key if there is one, the number of keys, and each key.
    fn reads(&self) -> Vec<TxnOp> {
        let KeyRange { first, end } = &self.range;
        let look = |name: &str| TxnOp::get(name, Some(GetOptions::new().with_keys_only()));
        let all = GetOptions::new().with_range(end.as_str()).with_count_only();
        let mut reads: Vec<_> = self.leader.iter().map(|leader| look(&leader.key)).collect();
        reads.push(TxnOp::get(first.as_str(), Some(all)));
        reads.extend(self.writes.iter().map(|write| look(&self.name(write))));
        reads
    }

    fn name(&self, write: &StateWrite) -> String {
        format!("{}{}", self.range.first, write.key)
    }
}

fn create_revision(found: Option<&TxnOpResponse>) -> i64 {
    first_key(found).map_or(0, KeyValue::create_revision)
}

fn mod_revision(found: Option<&TxnOpResponse>) -> i64 {
    first_key(found).map_or(0, KeyValue::mod_revision)
}
