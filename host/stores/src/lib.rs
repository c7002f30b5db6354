//! The store: where sessions, elections and members live.
//!
//! Two rooms keep the same promises behind one trait: `etcd`, by the queues of etcd's own
//! Election API, and `sqlite`, a file for hosts on one machine. What both
//! promise, and the contract tests check:
//!
//! - A lease that is not renewed within its TTL is gone, with everything that
//!   hangs on it; it never comes back.
//! - In a group, the candidate with the lowest create revision leads; a new
//!   candidate's revision is greater than every one given out before it.
//! - A note stands, whoever lives, until it is erased.
//! - A write that names a [`LeaderKey`](soloist_heart::LeaderKey) happens only if that key still
//!   exists at its create revision.
//! - A store that is another one than before, or an older one, is told of by
//!   [`Store::mismatches`] before anything else of it is.

#![cfg_attr(
    not(all(feature = "etcd", feature = "sqlite")),
    allow(dead_code, unused_imports, unused_variables, reason = "each store needs a part of it")
)]

mod cast;
mod error;
#[cfg(feature = "etcd")]
mod etcd;
mod foreign_candidate;
mod identity;
mod ignored_entry;
mod member;
mod name;
mod note;
mod operator_order;
mod process_location;
mod retry;
mod roster;
#[cfg(feature = "sqlite")]
mod sqlite;
mod state_store;
mod store;

use std::{sync::Arc, time::Duration};

pub use cast::fresh_id;
pub use cast::{
    ANSWER_MAX, CONTENT_TYPE_MAX, CastAnswer, CastChange, CastClaimer, CastHeader, CastKey,
    CastRequest, CastRetry, CastState, CastStore, CastStream, Claim, ERROR_MAX, EndedCast,
    PAYLOAD_MAX, QueuedCast, is_content_type,
};
pub use error::StoreError;
pub use foreign_candidate::ForeignCandidate;
pub use identity::StoreMismatch;
pub use member::{FailedAction, Member};
pub use note::{KnownHost, Note, NoteTopic, Notes};
pub use operator_order::{Drain, OperatorOrder, Pause, Removal};
pub use process_location::ProcessLocation;
pub use retry::retry_transient;
pub use roster::{Candidate, QueuedCandidate, Roster};
pub use state_store::{
    BATCH_BYTES_MAX, BATCH_MAX, Guard, KEY_MAX, KEYS_MAX, StateEntry, StateStore, VALUE_MAX, Write,
};
pub use store::{Lease, RosterStream, Store};

use name::check_name;
use soloist_config::StoreUrl;

/// The store at `url`, as `cluster` sees it.
///
/// Nothing is opened or reached yet: the first call does, and every call after
/// a failure tries again. [`Store::check`] tells early whether that works.
/// Connections are driven by the runtime that this is called on, whichever
/// runtime the calls come from.
///
/// # Errors
/// [`StoreError::Refused`] when the cluster's name cannot be part of a key, when the
/// certificates for etcd cannot be used, or outside a tokio runtime.
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
        #[cfg(feature = "etcd")]
        StoreUrl::Etcd { endpoints, login, tls } => {
            let access = etcd::EtcdAccess::new(endpoints, login.as_ref(), tls.as_ref())?;
            Ok(Arc::new(etcd::EtcdStore::open(access, cluster, request_timeout)?))
        }
        #[cfg(not(all(feature = "etcd", feature = "sqlite")))]
        _ => Err(StoreError::refused(
            "this soloist was built without that kind of store: take one that has it",
        )),
    }
}
