//! Joining the members.
//!
//! Invariant: a name belongs to one session. An entry is written only if there is none, if it
//! belongs to the same session, or if it is the one that was just read and belongs to a dead
//! process; and only if no removal of that name exists. All of this is compared in the transaction
//! that writes the entry.

use etcd_client::{Compare, CompareOp, PutOptions, Txn, TxnOp, TxnResponse};

use super::{client::SharedClient, keys::EtcdKeys, txn_reads::first_key};
use crate::{Member, NoteTopic, StoreError, admission};
use soloist_heart::LeaseId;

/// The attempted action, for error texts.
const JOIN: &str = "join the cluster";

/// How often the entry is read again if others change it in the meantime.
const ROUNDS: usize = 4;

/// What must be in place for the entry to be written.
enum JoinCondition {
    Nothing,
    /// An entry of the same session.
    Own,
    /// The entry with this mod revision.
    Revision(i64),
}

struct MemberEntry<'a> {
    key: String,
    /// The key under which a removal of this host would be.
    removal: String,
    value: Vec<u8>,
    lease: LeaseId,
    member: &'a Member,
}

pub(super) async fn join(
    client: &SharedClient,
    keys: &EtcdKeys,
    lease: LeaseId,
    member: &Member,
) -> Result<(), StoreError> {
    let value = client.json(JOIN, member)?;
    let removal = keys.note(&NoteTopic::Removal(member.name.clone()))?;
    let entry = MemberEntry { key: keys.member(&member.name)?, removal, value, lease, member };
    let mut before = JoinCondition::Nothing;
    for _ in 0..ROUNDS {
        let answer = client.transact(JOIN, &entry.put(&before)).await?;
        if answer.succeeded() {
            return Ok(());
        }
        before = entry.next_condition(&answer)?;
    }
    Err(client.unavailable(JOIN, "hosts of this name join and leave repeatedly"))
}

impl MemberEntry<'_> {
    fn put(&self, before: &JoinCondition) -> Txn {
        let Self { key, removal, value, lease, .. } = self;
        let (key, removal) = (key.as_str(), removal.as_str());
        let before = match before {
            JoinCondition::Nothing => Compare::create_revision(key, CompareOp::Equal, 0),
            JoinCondition::Own => Compare::lease(key, CompareOp::Equal, lease.0),
            JoinCondition::Revision(revision) => {
                Compare::mod_revision(key, CompareOp::Equal, *revision)
            }
        };
        let admitted = Compare::create_revision(removal, CompareOp::Equal, 0);
        let options = PutOptions::new().with_lease(lease.0);
        Txn::new()
            .when([admitted, before])
            .and_then([TxnOp::put(key, value.as_slice(), Some(options))])
            .or_else([TxnOp::get(removal, None), TxnOp::get(key, None)])
    }

    /// The condition under which the entry may be written, judging by what was read; or the reason
    /// why it may not.
    fn next_condition(&self, answer: &TxnResponse) -> Result<JoinCondition, StoreError> {
        let found = answer.op_responses();
        if let Some(note) = first_key(found.first()) {
            return Err(admission::removed(self.member, note.value()));
        }
        let Some(there) = first_key(found.get(1)) else { return Ok(JoinCondition::Nothing) };
        let lease = LeaseId(there.lease());
        if lease == self.lease {
            return Ok(JoinCondition::Own);
        }
        // An entry without a lease belongs to no session.
        if lease != LeaseId::NONE {
            admission::check_gives_way(self.member, there.value(), lease)?;
        }
        Ok(JoinCondition::Revision(there.mod_revision()))
    }
}
