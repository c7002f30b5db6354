//! What the reads inside a transaction have found.

use etcd_client::{KeyValue, TxnOpResponse};

/// The first key that a read inside a transaction has found.
pub(super) fn first_key(read: Option<&TxnOpResponse>) -> Option<&KeyValue> {
    match read {
        Some(TxnOpResponse::Get(found)) => found.kvs().first(),
        _ => None,
    }
}

/// How many keys a read inside a transaction has counted.
pub(super) fn key_count(read: Option<&TxnOpResponse>) -> usize {
    match read {
        Some(TxnOpResponse::Get(found)) => usize::try_from(found.count()).unwrap_or_default(),
        _ => 0,
    }
}
