//! The identity of a cluster in etcd: assigned once, and restored if somebody deletes it.
//!
//! Hosts that connect later compare it with the identity that they know. If it were missing, a host
//! that knows none would assign a new one, and all other hosts would conclude that this is another
//! store. So it is watched together with the rest of the cluster, and the first host that sees it
//! missing restores it.

use etcd_client::{
    Client as Connection, Compare, CompareOp, Error, GetOptions, GetResponse, KeyValue, Txn, TxnOp,
    TxnOpResponse,
};

use super::{
    cluster_trust::ClusterTrust,
    has_header::{HasHeader, missing_header},
    keys::{EtcdKeys, KeySubject},
};
use crate::identity::{KnownBefore, ObservedStore, new_identity};

/// Reads what identifies the cluster and how far its history goes, and compares it with what is
/// known of it. Returns whether the cluster has an identity.
pub(super) async fn check(
    etcd: &Connection,
    keys: &EtcdKeys,
    trust: &ClusterTrust,
    believe: impl AsyncFnOnce(u64) -> Result<(), Error>,
) -> Result<bool, Error> {
    let before = trust.history.known_before();
    // This read is linearizable, so it reflects everything that was reported to anybody before.
    let range = keys.cluster_range();
    let all = GetOptions::new().with_range(range.end);
    let found = etcd.kv_client().get(range.first, Some(all)).await?;
    let header = found.header().ok_or_else(missing_header)?;
    believe(header.cluster_id()).await?;
    let observed = observed(keys, found.kvs(), header.revision());
    let has_identity = observed.identity.is_some();
    compare(trust, before, &observed)?;
    Ok(has_identity)
}

/// Compares what was read from the store with what was known before the read.
fn compare(
    trust: &ClusterTrust,
    before: KnownBefore,
    observed: &ObservedStore,
) -> Result<(), Error> {
    let compared = trust.history.compare(before, observed);
    compared.map_err(|mismatch| Error::EndpointError(mismatch.seen))
}

/// What the keys of the whole cluster say, at `revision`.
pub(super) fn observed(keys: &EtcdKeys, found: &[KeyValue], revision: i64) -> ObservedStore {
    let mut observed = ObservedStore { revision, ..ObservedStore::default() };
    for key in found {
        match keys.subject(key.key()) {
            Some(KeySubject::Identity) => observed.identity = Some(identity_text(key)),
            Some(KeySubject::Floor) => {
                let floor = floor_of(key);
                (observed.floor, observed.raises) = (floor, floor);
            }
            _ => {}
        }
    }
    observed
}

/// Writes the identity that is known of the store, or a new one; or reads the one that another host
/// has written. A store that accepts no writes stays without identity for the time being.
pub(super) async fn ensure_identity(
    etcd: &Connection,
    keys: &EtcdKeys,
    trust: &ClusterTrust,
) -> Result<(), Error> {
    let key = keys.identity();
    let own = trust.history.identity().unwrap_or_else(new_identity);
    let none = Compare::create_revision(key.as_str(), CompareOp::Equal, 0);
    let put = TxnOp::put(key.as_str(), own.as_str(), None);
    let range = keys.cluster_range();
    let all = || TxnOp::get(range.first.as_str(), Some(GetOptions::new().with_range(&*range.end)));
    let txn = Txn::new().when([none]).and_then([put, all()]).or_else([all()]);
    let before = trust.history.known_before();
    let given = match etcd.kv_client().txn(txn).await {
        Ok(given) => given,
        Err(error) => {
            tracing::debug!(%error, "the store has no identity yet");
            return Ok(());
        }
    };
    let revision = HasHeader::header(&given).ok_or_else(missing_header)?.revision();
    let responses = given.op_responses();
    let found = responses.last().map_or(&[][..], keys_read);
    compare(trust, before, &observed(keys, found, revision))
}

/// What a read inside a transaction has found.
fn keys_read(read: &TxnOpResponse) -> &[KeyValue] {
    match read {
        TxnOpResponse::Get(found) => GetResponse::kvs(found),
        _ => &[],
    }
}

/// The identity in its key's value.
pub(super) fn identity_text(key: &KeyValue) -> String {
    String::from_utf8_lossy(key.value()).into_owned()
}

/// The floor in its key's value. What soloist has not written counts as no floor.
pub(super) fn floor_of(key: &KeyValue) -> i64 {
    let text = str::from_utf8(key.value()).ok();
    text.and_then(|text| text.parse().ok()).filter(|floor| *floor >= 0).unwrap_or_default()
}
