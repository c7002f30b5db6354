//! The store: where sessions, elections and members live.
//!
//! There are three implementations of one trait: `etcd`, which uses the queues of etcd's own
//! elections, `postgres`, which people often run already, and `sqlite`, a file for hosts on one
//! machine. All guarantee the following, which the contract tests check:
//!
//! - A lease that is not renewed within its TTL is gone, together with everything attached to it;
//!   it never comes back.
//! - In a group, the candidate with the lowest create revision leads; a new candidate's revision is
//!   greater than every revision assigned before.
//! - A note depends on no session: it exists until it is erased.
//! - A write that names a [`LeaderKey`](soloist_heart::LeaderKey) happens only if that key still
//!   exists at its create revision.
//! - If the store turns out to be another one than before, or an older state of it,
//!   [`Store::mismatches`] reports that before anything else is reported from it.

#![cfg_attr(
    not(all(feature = "etcd", feature = "postgres", feature = "sqlite")),
    allow(dead_code, unused_imports, unused_variables, reason = "each store needs a part of it")
)]

mod admission;
mod backup;
mod error;
#[cfg(feature = "etcd")]
mod etcd;
mod foreign_candidate;
mod identity;
mod ignored_entry;
mod keyed_locks;
mod member;
mod name;
mod note;
mod observed_leases;
mod operator_order;
#[cfg(feature = "postgres")]
mod postgres;
mod process_location;
mod queued_call;
mod retry;
mod roster;
#[cfg(feature = "sqlite")]
mod sqlite;
mod state_quota;
mod state_store;
mod store;
mod this_host;

use std::{sync::Arc, time::Duration};

pub use backup::{
    BackupExport, BackupKind, BackupRecord, BackupStore, BackupStream, BackupSummary, CallRecord,
    CallStage, NoteRecord, StateRecord,
};
pub use error::StoreError;
pub use foreign_candidate::ForeignCandidate;
pub use identity::StoreMismatch;
pub use member::{FailedAction, Member};
pub use note::{KnownHost, Note, NoteTopic, Notes};
pub use operator_order::{Drain, OperatorOrder, Pause, Removal};
pub use process_location::ProcessLocation;
pub use queued_call::fresh_id;
pub use queued_call::{
    ANSWER_MAX, CONTENT_TYPE_MAX, CallClaimer, CallQueueChange, CallQueueStore, CallQueueStream,
    Claim, ERROR_MAX, EndedQueuedCall, PAYLOAD_MAX, QueuedCallHeader, QueuedCallKey,
    QueuedCallRequest, QueuedCallResult, QueuedCallRetry, QueuedCallState, WaitingCall,
    is_content_type,
};
pub use retry::retry_transient;
pub use roster::{Candidate, QueuedCandidate, Roster};
pub use state_quota::{QuotaOf, StateQuota};
pub use state_store::{
    BATCH_BYTES_MAX, BATCH_MAX, KEY_MAX, KEYS_MAX, StateEntry, StateStore, StateWrite, VALUE_MAX,
    WriteGuard,
};
pub use store::{Lease, RosterStream, Store};
pub use this_host::{EntryAuthor, ThisHost};

use name::check_name;
use soloist_config::StoreUrl;

/// The store at `url`, for the cluster `cluster`.
///
/// Nothing is opened or connected yet: the first call does that, and every call after a failure
/// tries again. [`Store::check`] finds out early whether it works. Connections are driven by the
/// runtime that this is called on, whichever runtime the calls come from.
///
/// # Errors
/// [`StoreError::Refused`] if the cluster's name cannot be part of a key, if the certificates for
/// it cannot be used, or outside a tokio runtime.
pub fn open(
    url: &StoreUrl,
    cluster: &str,
    request_timeout: Duration,
) -> Result<Arc<dyn Store>, StoreError> {
    check_name("the cluster's name", cluster)?;
    match url {
        #[cfg(feature = "sqlite")]
        StoreUrl::Sqlite(path) => {
            Ok(Arc::new(sqlite::SqliteStore::open(path, cluster, request_timeout)?))
        }
        #[cfg(feature = "postgres")]
        StoreUrl::Postgres(url) => {
            Ok(Arc::new(postgres::PostgresStore::open(url, cluster, request_timeout)?))
        }
        #[cfg(feature = "etcd")]
        StoreUrl::Etcd { endpoints, login, tls } => {
            let access = etcd::EtcdAccess::new(endpoints, login.as_ref(), tls.as_ref())?;
            Ok(Arc::new(etcd::EtcdStore::open(access, cluster, request_timeout)?))
        }
        #[cfg(not(all(feature = "etcd", feature = "postgres", feature = "sqlite")))]
        _ => Err(StoreError::refused(
            "this soloist was built without that kind of store: take one that has it",
        )),
    }
}
