//! A candidate in the queue of its group: how it enters, waits to be first, and is found or
//! deleted.

use etcd_client::{
    Compare, CompareOp, GetOptions, KeyValue, PutOptions, ResponseHeader, SortOrder, SortTarget,
    Txn, TxnOp,
};
use tokio::time::sleep;

use super::{client::SharedClient, identity::floor_of, lookout::Lookout, txn_reads::first_key};
use crate::StoreError;
use soloist_heart::{Group, LeaderKey, LeaseId};

/// The attempted action, for error texts.
pub(super) const CAMPAIGN: &str = "campaign";

/// As long as a typical candidate entry: the store must have room for that much.
const REHEARSAL: [u8; 256] = [b' '; 256];

/// What a candidate enters the queue with.
pub(super) struct EtcdCandidacy {
    /// The common prefix of all candidates' keys in this group.
    pub(super) queue: String,
    pub(super) key: String,
    /// The keys of the cluster's floor and of a grace period.
    pub(super) floor: String,
    pub(super) grace: String,
    pub(super) group: Group,
    pub(super) lease: LeaseId,
    pub(super) value: Vec<u8>,
}

/// The position of a candidate in the queue.
pub(super) enum QueuePosition {
    First,
    Behind {
        /// The key right before the candidate's, whoever put it there; or that of a grace period.
        predecessor: Vec<u8>,
        /// The store's revision at which that was read.
        revision: i64,
    },
    /// The candidate is no longer in the queue.
    None,
}

impl EtcdCandidacy {
    /// Enters the queue, or finds the candidate of this lease there. Returns its key.
    ///
    /// The floor is read in the same transaction. It cannot rise afterwards while the candidate is
    /// there, since a raise removes all candidates.
    pub(super) async fn enter(&self, client: &SharedClient) -> Result<LeaderKey, StoreError> {
        let options = PutOptions::new().with_lease(self.lease.0);
        let put = TxnOp::put(self.key.as_str(), self.value.as_slice(), Some(options));
        let none = Compare::create_revision(self.key.as_str(), CompareOp::Equal, 0);
        let get = TxnOp::get(self.key.as_str(), None);
        let floor = TxnOp::get(self.floor.as_str(), None);
        let txn = Txn::new()
            .when([none])
            .and_then([put.clone(), floor.clone()])
            .or_else([put, floor, get]);
        let entered = client.transact(CAMPAIGN, &txn).await?;
        let answers = entered.op_responses();
        // Only a candidate that was in the queue already is read.
        let found = first_key(answers.get(2)).map(KeyValue::create_revision);
        let revision = found.or_else(|| entered.header().map(ResponseHeader::revision));
        let revision =
            revision.ok_or_else(|| client.unavailable(CAMPAIGN, "an answer without header"))?;
        let key = LeaderKey::new(self.group.clone(), &*self.key, self.lease, revision);
        Ok(key.above(first_key(answers.get(1)).map_or(0, floor_of)))
    }

    /// Finds the candidate's position. If it is not the first, waits until the key before it or its
    /// own key is deleted, or until it is time to check again. During a grace period nobody is the
    /// first.
    pub(super) async fn wait(
        &self,
        client: &SharedClient,
        lookout: &Lookout,
        create_revision: i64,
    ) -> Result<QueuePosition, StoreError> {
        let position = self.find_position(client, create_revision).await?;
        if let QueuePosition::Behind { predecessor, revision } = &position {
            let mut before = lookout.wait_for_deletion(CAMPAIGN, predecessor, *revision);
            let mut own = lookout.wait_for_deletion(CAMPAIGN, self.key.as_bytes(), *revision);
            tokio::select! {
                deleted = before.wait(client) => deleted?,
                deleted = own.wait(client) => deleted?,
                () = sleep(client.recheck_interval()) => {}
            }
        }
        Ok(position)
    }

    /// Reads three keys, however long the queue is.
    async fn find_position(
        &self,
        client: &SharedClient,
        create_revision: i64,
    ) -> Result<QueuePosition, StoreError> {
        let own = GetOptions::new().with_keys_only();
        let last_before = GetOptions::new()
            .with_prefix()
            .with_keys_only()
            .with_limit(1)
            .with_max_create_revision(create_revision - 1)
            .with_sort(SortTarget::Create, SortOrder::Descend);
        let txn = Txn::new().and_then([
            TxnOp::get(self.key.as_str(), Some(own)),
            TxnOp::get(self.queue.as_str(), Some(last_before)),
            TxnOp::get(self.grace.as_str(), Some(GetOptions::new().with_keys_only())),
        ]);
        let found = {
            let _permit = client.group_call_permit().await;
            client.transact(CAMPAIGN, &txn).await?
        };
        let answers = found.op_responses();
        let own = first_key(answers.first()).filter(|own| own.create_revision() == create_revision);
        let ahead = first_key(answers.get(1)).or_else(|| first_key(answers.get(2)));
        match (own, ahead, found.header()) {
            (None, _, _) => Ok(QueuePosition::None),
            (Some(_), None, _) => Ok(QueuePosition::First),
            (Some(_), Some(_), None) => {
                Err(client.unavailable(CAMPAIGN, "an answer without header"))
            }
            (Some(_), Some(ahead), Some(header)) => {
                let predecessor = ahead.key().to_vec();
                Ok(QueuePosition::Behind { predecessor, revision: header.revision() })
            }
        }
    }
}

/// Proposes to enter the queue at `key`, under a condition that never holds.
///
/// etcd checks both branches of a transaction: the permission to write each key (etcd:
/// `auth_applier.go`, `checkTxnAuth`), room in its quota, and the absence of alarms (`costTxn`,
/// `applierV3Capped`); and all members agree on the transaction in their logs. A transaction that
/// changes nothing makes no revision (`storeTxnWrite.End`).
pub(super) async fn rehearse(
    client: &SharedClient,
    key: &str,
    lease: LeaseId,
) -> Result<(), StoreError> {
    let put = TxnOp::put(key, REHEARSAL, Some(PutOptions::new().with_lease(lease.0)));
    let never = Compare::create_revision(key, CompareOp::Less, 0);
    let txn = Txn::new().when([never]).and_then([put]);
    client.transact("rehearse a campaign", &txn).await.map(drop)
}

/// The create revision of `key`, if it exists.
pub(super) async fn find_candidate(
    client: &SharedClient,
    key: &str,
) -> Result<Option<i64>, StoreError> {
    let found = client.get("look for the candidate", key, &GetOptions::new()).await?;
    Ok(found.kvs().first().map(KeyValue::create_revision))
}

/// Deletes `key` if it has this create revision.
pub(super) async fn delete_candidate(
    client: &SharedClient,
    key: &str,
    create_revision: i64,
) -> Result<(), StoreError> {
    let same = Compare::create_revision(key, CompareOp::Equal, create_revision);
    let txn = Txn::new().when([same]).and_then([TxnOp::delete(key, None)]);
    client.transact("withdraw the candidate", &txn).await.map(drop)
}
