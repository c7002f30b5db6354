//! The identity of a cluster in etcd: given once, and put back when somebody has deleted it.
//!
//! Those who come later hold what they know of the store against it. Where it is gone, whoever
//! knows none gives the store another, and all others have to take it for another store. So it
//! is watched with the rest of the cluster, and whoever sees first that it is gone puts it back.

use etcd_client::{
    Client as Connection, Compare, CompareOp, Error, GetResponse, KeyValue, Txn, TxnOp,
    TxnOpResponse,
};

use super::{
    cluster_trust::ClusterTrust,
    has_header::{HasHeader, missing_header},
};
use crate::identity::{ObservedStore, RevisionBefore, new_identity};

/// Holds what a look has found of the store against what was known before it.
pub(super) fn compare(
    trust: &ClusterTrust,
    before: RevisionBefore,
    identity: Option<String>,
    revision: i64,
) -> Result<(), Error> {
    let compared = trust.history.compare(before, &ObservedStore { identity, revision });
    compared.map_err(|mismatch| Error::EndpointError(mismatch.seen))
}

/// Gives the store the identity that is known of it, or a new one; or finds what another has
/// given it. One that takes no writes has none until it does.
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
    let others = given.op_responses().into_iter().find_map(|answer| match answer {
        TxnOpResponse::Get(found) => identity_of(&found),
        _ => None,
    });
    let revision = HasHeader::header(&given).ok_or_else(missing_header)?.revision();
    compare(trust, before, others.or(Some(own)), revision)
}

/// What was read of it.
pub(super) fn identity_of(found: &GetResponse) -> Option<String> {
    found.kvs().first().map(identity_text)
}

/// What its key holds.
pub(super) fn identity_text(key: &KeyValue) -> String {
    String::from_utf8_lossy(key.value()).into_owned()
}
