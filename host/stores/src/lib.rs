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
mod foreign;
mod identity;
mod insist;
mod member;
mod name;
mod note;
mod order;
mod roster;
#[cfg(feature = "sqlite")]
mod sqlite;
mod state;
mod store;
mod stranger;
mod whereabouts;

use std::{sync::Arc, time::Duration};

pub use cast::fresh_id;
pub use cast::{
    ANSWER_MAX, Again, CONTENT_TYPE_MAX, CastAnswer, CastChange, CastHead, CastKey, CastOrder,
    CastState, CastStream, Casts, Claim, Claimer, ERROR_MAX, Ended, PAYLOAD_MAX, Queued,
    is_content_type,
};
pub use error::StoreError;
pub use identity::Mismatch;
pub use insist::insist;
pub use member::{Failing, Member};
pub use note::{Known, Note, Notes, Topic};
pub use order::{Drain, Order, Pause, Removal};
pub use roster::{Candidate, Roster, Standing};
pub use state::{
    BATCH_BYTES_MAX, BATCH_MAX, Entry, Guard, KEY_MAX, KEYS_MAX, State, VALUE_MAX, Write,
};
pub use store::{Lease, RosterStream, Store};
pub use stranger::Stranger;
pub use whereabouts::Whereabouts;

use name::plain_name;
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
    plain_name("the cluster's name", cluster)?;
    match url {
        #[cfg(feature = "sqlite")]
        StoreUrl::Sqlite(path) => {
            Ok(Arc::new(sqlite::Sqlite::open(path, cluster, request_timeout)?))
        }
        #[cfg(feature = "etcd")]
        StoreUrl::Etcd { endpoints, login, tls } => {
            let access = etcd::Access::new(endpoints, login.as_ref(), tls.as_ref())?;
            Ok(Arc::new(etcd::Etcd::open(access, cluster, request_timeout)?))
        }
        #[cfg(not(all(feature = "etcd", feature = "sqlite")))]
        _ => Err(StoreError::refused(
            "this soloist was built without that kind of store: take one that has it",
        )),
    }
}
