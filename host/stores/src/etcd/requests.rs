//! The requests that all parts of the store make: transactions, reads of keys, values as JSON.

use std::time::Duration;

use etcd_client::{
    Client as Connection, GetOptions, GetResponse, KvClient, LeaseGrantResponse, Txn, TxnResponse,
};
use serde::Serialize;

use super::client::EtcdClient;
use crate::StoreError;

/// The largest response accepted from etcd, in bytes. A watch response covers up to 1,000 revisions
/// (etcd: `watchBatchMaxRevs`), each with a few keys that are short except for long errors. A page
/// of queued calls has headers, each with the longest error in JSON's worst-case encoding.
pub(super) const MESSAGE_MAX: usize = 64 << 20;

/// The keys and values of etcd, for responses of up to [`MESSAGE_MAX`].
pub(super) fn kv(etcd: &Connection) -> KvClient {
    etcd.kv_client().max_decoding_message_size(MESSAGE_MAX)
}

impl EtcdClient {
    /// Commits a transaction. As with every [call](EtcdClient::call), committing it twice must be
    /// harmless.
    pub(super) async fn transact(
        &self,
        attempted: &'static str,
        txn: &Txn,
    ) -> Result<TxnResponse, StoreError> {
        let commit = |etcd: Connection| {
            let txn = txn.clone();
            async move { kv(&etcd).txn(txn).await }
        };
        self.call(attempted, commit).await
    }

    /// Reads `key`, or what `options` make of it.
    pub(super) async fn get(
        &self,
        attempted: &'static str,
        key: &str,
        options: &GetOptions,
    ) -> Result<GetResponse, StoreError> {
        let get = |etcd: Connection| {
            let options = options.clone();
            async move { kv(&etcd).get(key, Some(options)).await }
        };
        self.call(attempted, get).await
    }

    /// Grants a lease of at least `ttl`: etcd counts in seconds.
    pub(super) async fn grant_lease(
        &self,
        attempted: &'static str,
        ttl: Duration,
    ) -> Result<LeaseGrantResponse, StoreError> {
        let ttl = i64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        let grant = |mut etcd: Connection| async move { etcd.lease_grant(ttl, None).await };
        self.call(attempted, grant).await
    }

    /// The value as JSON, to be stored by the `attempted` action.
    pub(super) fn json(
        &self,
        attempted: &'static str,
        value: &impl Serialize,
    ) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(value).map_err(|error| self.unavailable(attempted, error))
    }
}
