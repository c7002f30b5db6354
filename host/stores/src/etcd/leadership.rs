//! What a leader does with its key: check that it heads the queue, announce since when it leads,
//! and resign.
//!
//! This works like etcd's own elections (etcd: `client/v3/concurrency/election.go`, `Leader`,
//! `Proclaim` and `Resign`), but with reads and transactions of our own. The Election service
//! creates a session for each call and drops the error codes; and at an etcd's peer address it is
//! missing, although everything else is answered there.

use etcd_client::{Compare, CompareOp, GetOptions, PutOptions, SortOrder, SortTarget, Txn, TxnOp};

use super::client::EtcdClient;
use crate::StoreError;
use soloist_heart::LeaderKey;

/// Whether `key` is the first in `queue`, the prefix of the group's candidates.
pub(super) async fn verify(
    client: &EtcdClient,
    queue: &str,
    key: &LeaderKey,
) -> Result<bool, StoreError> {
    let oldest = GetOptions::new()
        .with_prefix()
        .with_sort(SortTarget::Create, SortOrder::Ascend)
        .with_limit(1)
        .with_keys_only();
    let _permit = client.group_call_permit().await;
    let found = client.get("verify the leadership", queue, &oldest).await?;
    Ok(found.kvs().first().is_some_and(|leader| {
        leader.key() == key.key.as_bytes() && leader.create_revision() == key.create_revision
    }))
}

/// Writes `value` to the leader's key.
pub(super) async fn proclaim(
    client: &EtcdClient,
    attempted: &'static str,
    key: &LeaderKey,
    value: &[u8],
) -> Result<(), StoreError> {
    let put = TxnOp::put(&*key.key, value, Some(PutOptions::new().with_lease(key.lease.0)));
    match change_if_present(client, attempted, key, put).await {
        Ok(true) => Ok(()),
        // If the lease is gone, the key is gone with it.
        Ok(false) | Err(StoreError::LeaseGone) => Err(StoreError::NotLeader),
        Err(error) => Err(error),
    }
}

/// Deletes the key of a leader or candidate, if it still exists.
pub(super) async fn resign(client: &EtcdClient, key: &LeaderKey) -> Result<(), StoreError> {
    let delete = TxnOp::delete(&*key.key, None);
    change_if_present(client, "resign", key, delete).await.map(drop)
}

/// Makes the `change` if the key exists with its create revision. Returns whether it did.
async fn change_if_present(
    client: &EtcdClient,
    attempted: &'static str,
    key: &LeaderKey,
    change: TxnOp,
) -> Result<bool, StoreError> {
    let same = Compare::create_revision(&*key.key, CompareOp::Equal, key.create_revision);
    let txn = Txn::new().when([same]).and_then([change]);
    let _permit = client.group_call_permit().await;
    Ok(client.transact(attempted, &txn).await?.succeeded())
}
