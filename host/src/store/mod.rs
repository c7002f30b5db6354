//! The store: where sessions, elections and members live.
//!
//! Two rooms keep the same promises behind one trait: `etcd`, by etcd's own
//! Election API, and `sqlite`, a file for hosts on one machine. What both
//! promise, and the contract tests check:
//!
//! - A lease that is not renewed within its TTL is gone, with everything that
//!   hangs on it; it never comes back.
//! - In a group, the candidate with the lowest create revision leads; a new
//!   candidate's revision is greater than every one given out before it.
//! - A write that names a [`LeaderKey`] happens only if that key still exists
//!   at its create revision.

mod error;
mod roster;

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;

pub use error::StoreError;
pub use roster::{Candidate, Member, Roster, Standing};

use crate::election::{Group, LeaderKey, LeaseId};

/// A granted lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its number.
    pub id: LeaseId,
    /// The time to live that the store granted; etcd may grant more than was asked.
    pub ttl: Duration,
}

/// The present state of the cluster and then each later one. It ends with an error.
pub type RosterStream = BoxStream<'static, Result<Roster, StoreError>>;

/// Leases, elections and members of one cluster.
///
/// All calls but [`campaign`](Store::campaign) and [`watch`](Store::watch) are
/// bounded by the request time-out that the store was opened with.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// How people call this store, without secrets: `etcd 10.0.0.1:2379`.
    fn label(&self) -> &str;

    /// Asks for one sign of life, to tell early what waiting cannot mend.
    async fn check(&self) -> Result<(), StoreError>;

    /// Opens a session: grants a lease of `ttl`.
    async fn grant(&self, ttl: Duration) -> Result<Lease, StoreError>;

    /// Renews a lease and returns its time to live, counted from a moment
    /// that is not before the call.
    ///
    /// # Errors
    /// [`StoreError::LeaseGone`] when it has run out or was revoked.
    async fn renew(&self, lease: LeaseId) -> Result<Duration, StoreError>;

    /// Ends a session at once, with all that hangs on it. A lease that is gone is no error.
    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError>;

    /// Stands for election and waits, without limit, until it is won.
    ///
    /// One lease stands at most once in a group: standing again takes the old
    /// place in the queue. Dropping the future withdraws the candidate, at the
    /// latest when its lease ends.
    ///
    /// # Errors
    /// [`StoreError::LeaseGone`] when the lease ended while waiting, and
    /// whatever breaks the wait; then it is unknown whether the candidate still stands.
    async fn campaign(
        &self,
        group: &Group,
        lease: LeaseId,
        candidate: &Candidate,
    ) -> Result<LeaderKey, StoreError>;

    /// Re-reads `key` after it was won, with the store's strongest read:
    /// whether it exists, at its create revision, first in its group.
    async fn verify(&self, key: &LeaderKey) -> Result<bool, StoreError>;

    /// Replaces what the leader says of itself.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`] when `key` is gone.
    async fn proclaim(&self, key: &LeaderKey, candidate: &Candidate) -> Result<(), StoreError>;

    /// Gives a leadership up: deletes `key` if it is still the one that was won.
    async fn resign(&self, key: &LeaderKey) -> Result<(), StoreError>;

    /// Enters this host among the members, as long as `lease` lives.
    async fn join(&self, lease: LeaseId, member: &Member) -> Result<(), StoreError>;

    /// Watches the whole cluster.
    async fn watch(&self) -> Result<RosterStream, StoreError>;
}
