//! The identity of a cluster in etcd: assigned once, and restored if somebody deletes it.
//!
//! Hosts that connect later compare it with the identity that they know. If it were missing, a host
//! that knows none would assign a new one, and all other hosts would conclude that this is another
//! store. So it is watched together with the rest of the cluster, and the first host that sees it
//! missing restores it.

use etcd_client::{
    Client as Connection, Compare, CompareOp, Error, GetResponse, KeyValue, Txn, TxnOp,
};

use super::{
    cluster_trust::ClusterTrust,
    has_header::{HasHeader, missing_header},
    txn_reads::first_key,
};
use crate::identity::{ObservedStore, RevisionBefore, new_identity};

/// Compares what was read from the store with what was known before the read.
pub(super) fn compare(
    trust: &ClusterTrust,
    before: RevisionBefore,
    identity: Option<String>,
    revision: i64,
) -> Result<(), Error> {
    let compared = trust.history.compare(before, &ObservedStore { identity, revision });
    compared.map_err(|mismatch| Error::EndpointError(mismatch.seen))
}

/// Writes the identity that is known of the store, or a new one; or reads the one that another host
/// has written. A store that accepts no writes stays without identity for the time being.
pub(super) async fn ensure_identity(
    etcd: &Connection,
    key: &str,
    trust: &ClusterTrust,
) -> Result<(), Error> {
    let own = trust.history.identity().unwrap_or_else(new_identity);
    let none = Compare::create_revision(key, CompareOp::Equal, 0);
    let put = TxnOp::put(key, own.as_str(), None);
    let txn = Txn::new().when([none]).and_then([put]).or_else([TxnOp::get(key, None)]);
    let before = trust.history.revision_before();
    let given = match etcd.kv_client().txn(txn).await {
        Ok(given) => given,
        Err(error) => {
            tracing::debug!(%error, "the store has no identity yet");
            return Ok(());
        }
    };
    // Only an identity that exists already is read.
    let others = first_key(given.op_responses().first()).map(identity_text);
    let revision = HasHeader::header(&given).ok_or_else(missing_header)?.revision();
    compare(trust, before, others.or(Some(own)), revision)
}

/// The identity in a response, if it is there.
pub(super) fn identity_of(found: &GetResponse) -> Option<String> {
    found.kvs().first().map(identity_text)
}

/// The identity in its key's value.
pub(super) fn identity_text(key: &KeyValue) -> String {
    String::from_utf8_lossy(key.value()).into_owned()
}
