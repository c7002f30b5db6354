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
    headed::{Headed, headless},
    trust::Trust,
};
use crate::identity::{Before, Look, new_identity};

/// Holds what a look has found of the store against what was known before it.
pub(super) fn compare(
    trust: &Trust,
    before: Before,
    identity: Option<String>,
    revision: i64,
) -> Result<(), Error> {
    let compared = trust.memory.compare(before, &Look { identity, revision });
    compared.map_err(|mismatch| Error::EndpointError(mismatch.seen))
}

/// Gives the store the identity that is known of it, or a new one; or finds what another has
/// given it. One that takes no writes has none until it does.
pub(super) async fn give(etcd: &Connection, key: &str, trust: &Trust) -> Result<(), Error> {
    let own = trust.memory.identity().unwrap_or_else(new_identity);
    let none = Compare::create_revision(key, CompareOp::Equal, 0);
    let put = TxnOp::put(key, own.as_str(), None);
    let txn = Txn::new().when([none]).and_then([put]).or_else([TxnOp::get(key, None)]);
    let before = trust.memory.before();
    let given = match etcd.kv_client().txn(txn).await {
        Ok(given) => given,
        Err(error) => {
            tracing::debug!(%error, "the store has no identity yet");
            return Ok(());
        }
    };
    let others = given.op_responses().into_iter().find_map(|answer| match answer {
        TxnOpResponse::Get(found) => of(&found),
        _ => None,
    });
    let revision = Headed::header(&given).ok_or_else(headless)?.revision();
    compare(trust, before, others.or(Some(own)), revision)
}

/// What was read of it.
pub(super) fn of(found: &GetResponse) -> Option<String> {
    found.kvs().first().map(text)
}

/// What its key holds.
pub(super) fn text(key: &KeyValue) -> String {
    String::from_utf8_lossy(key.value()).into_owned()
}
