//! Raising the fencing tokens: all later ones exceed a certain one.
//!
//! etcd counts revisions by itself, and begins again from a lower number when it is restored or
//! replaced. So a fencing token is a create revision plus the cluster's *floor*, which this raises.
//!
//! The floor, the end of all candidates and the beginning of the grace period are one transaction.
//! So a candidate that exists has entered under the present floor, and none leads before the grace
//! period is over. That period is a lease which nobody renews.

use std::time::Duration;

use etcd_client::{
    Compare, CompareOp, DeleteOptions, GetOptions, KeyValue, PutOptions, ResponseHeader, Txn, TxnOp,
};

use super::{client::EtcdClient, identity::floor_of, keys::EtcdKeys, txn_reads::first_key};
use crate::StoreError;
use soloist_heart::FencingToken;

/// The attempted action, for error texts.
const RAISE: &str = "raise the fencing tokens";

/// See [`Store::raise_tokens`](crate::Store::raise_tokens).
pub(super) async fn raise_tokens(
    client: &EtcdClient,
    keys: &EtcdKeys,
    above: FencingToken,
    grace: Duration,
) -> Result<(), StoreError> {
    loop {
        let found = TokenState::read(client, keys, above).await?;
        if found.is_above(above) {
            client.trust().history.observe_raise(found.floor, found.floor);
            return Ok(());
        }
        let floor = found.floor_for(above);
        let lease = client.grant_lease(RAISE, grace).await?.id();
        let raised = client.transact(RAISE, &found.raise(keys, floor, lease)).await?;
        if raised.succeeded() {
            client.trust().history.observe_raise(floor, floor);
            return Ok(());
        }
        // Another host was faster.
    }
}

/// The fencing tokens as they are.
struct TokenState {
    floor: i64,
    /// The revision at which the floor was written; 0 if there is none.
    written: i64,
    /// The store's revision: every later candidate has a higher one.
    revision: i64,
    /// Whether a candidate has a fencing token that is too low.
    has_lower: bool,
}

impl TokenState {
    async fn read(
        client: &EtcdClient,
        keys: &EtcdKeys,
        above: FencingToken,
    ) -> Result<Self, StoreError> {
        let get = |key: String| TxnOp::get(key, None);
        let read = client.transact(RAISE, &Txn::new().and_then([get(keys.floor())])).await?;
        let answers = read.op_responses();
        let found = first_key(answers.first());
        let floor = found.map_or(0, floor_of);
        let header = read.header().map(ResponseHeader::revision);
        let revision =
            header.ok_or_else(|| client.unavailable(RAISE, "an answer without header"))?;
        let elections = keys.elections_range();
        let lower = GetOptions::new()
            .with_range(elections.end)
            // A count would be that of all keys in the range (etcd: `applierV3backend.Range`).
            .with_keys_only()
            .with_limit(1)
            .with_max_create_revision((above.0 - floor).max(1));
        let lower = Txn::new().and_then([TxnOp::get(elections.first, Some(lower))]);
        let lower = client.transact(RAISE, &lower).await?;
        Ok(Self {
            floor,
            written: found.map_or(0, KeyValue::mod_revision),
            revision,
            has_lower: first_key(lower.op_responses().first()).is_some(),
        })
    }

    /// Whether all fencing tokens, those of present candidates as well, exceed `above`.
    const fn is_above(&self, above: FencingToken) -> bool {
        self.floor.saturating_add(self.revision) >= above.0 && !self.has_lower
    }

    /// The floor that lets every later candidate exceed `above`.
    fn floor_for(&self, above: FencingToken) -> i64 {
        self.floor.max(above.0.saturating_sub(self.revision))
    }

    fn raise(&self, keys: &EtcdKeys, floor: i64, grace: i64) -> Txn {
        let same = Compare::mod_revision(keys.floor(), CompareOp::Equal, self.written);
        let elections = keys.elections_range();
        let all = DeleteOptions::new().with_range(elections.end);
        let lease = PutOptions::new().with_lease(grace);
        Txn::new().when([same]).and_then([
            TxnOp::put(keys.floor(), floor.to_string(), None),
            TxnOp::delete(elections.first, Some(all)),
            TxnOp::put(keys.grace(), "nobody leads until this key's lease ends", Some(lease)),
        ])
    }
}
