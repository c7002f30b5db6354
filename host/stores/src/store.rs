//! The interface of a store, and its guarantees.

use std::{future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio::sync::watch;

use crate::{
    backup::BackupStore,
    error::StoreError,
    identity::StoreMismatch,
    member::Member,
    note::{Note, NoteTopic},
    queued_call::CallQueueStore,
    roster::{Candidate, Roster},
    state_store::StateStore,
};
use soloist_heart::{FencingToken, Group, LeaderKey, LeaseId};

/// A granted lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The lease's id.
    pub id: LeaseId,
    /// The time to live that the store granted; etcd may grant more than was requested.
    pub ttl: Duration,
}

/// The current state of the cluster and then each later one. The stream ends after an error.
pub type RosterStream = BoxStream<'static, Result<Roster, StoreError>>;

/// The leases, elections and members of one cluster.
///
/// All calls except [`campaign`](Store::campaign) and [`watch`](Store::watch) are bounded by the
/// request time-out that the store was opened with.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// A name of this store for people, without secrets: `etcd 10.0.0.1:2379`.
    fn label(&self) -> &str;

    /// Makes one call, to find out early about errors that waiting does not help against.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for those, [`StoreError::Unavailable`] otherwise.
    async fn check(&self) -> Result<(), StoreError>;

    /// Opens a session: grants a lease of `ttl`, which must not be below
    /// [`StoreUrl::min_ttl`](soloist_config::StoreUrl::min_ttl).
    ///
    /// A call that was given up may have granted a lease nevertheless; nobody knows it, and it
    /// expires.
    async fn grant(&self, ttl: Duration) -> Result<Lease, StoreError>;

    /// Waits until the store notices by itself that the session of `lease`, which was granted here,
    /// can no longer be relied on; returns the reason. A store that notices it only in its answers
    /// to calls never returns.
    async fn session_lost(&self, _lease: LeaseId) -> StoreError {
        pending().await
    }

    /// Renews a lease and returns its time to live, counted from a moment that is not before the
    /// call.
    ///
    /// # Errors
    /// [`StoreError::LeaseGone`] if it has expired or was revoked.
    async fn renew(&self, lease: LeaseId) -> Result<Duration, StoreError>;

    /// Ends a session at once, with everything attached to it. It is no error if the lease is
    /// already gone.
    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError>;

    /// Stands for election and waits, without limit, until the election is won.
    ///
    /// A lease has at most one candidate in a group: a leader that stands again gets the same key.
    /// Dropping the future withdraws the candidate, at the latest when its lease ends; an error may
    /// do so as well. A host that stands again afterwards is last in the queue. Only one call at a
    /// time may wait for each lease and group.
    ///
    /// A win may be outdated when it is learnt: [`verify`](Store::verify) it.
    ///
    /// # Errors
    /// [`StoreError::LeaseGone`] if the lease has ended, where the store notices that (etcd only
    /// before the wait), and any error that breaks the wait.
    async fn campaign(
        &self,
        group: &Group,
        lease: LeaseId,
        candidate: &Candidate,
    ) -> Result<LeaderKey, StoreError>;

    /// Re-reads `key` after it was won, with the store's strongest read. Returns whether it exists
    /// at its create revision and is first in its group.
    async fn verify(&self, key: &LeaderKey) -> Result<bool, StoreError>;

    /// Replaces the leader's candidate entry.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`] if `key` is gone.
    async fn proclaim(&self, key: &LeaderKey, candidate: &Candidate) -> Result<(), StoreError>;

    /// Gives a leadership up: deletes `key` if it is still the one that was won.
    async fn resign(&self, key: &LeaderKey) -> Result<(), StoreError>;

    /// Enters this host among the members for as long as `lease` lives, or changes its entry. A
    /// name belongs to one host: another host's entry is replaced only if this member
    /// [supersedes](Member::supersedes) it, or if the entry has no lease.
    ///
    /// # Errors
    /// [`StoreError::LeaseGone`] if the lease has ended, [`StoreError::NameTaken`] while another
    /// session has this name, [`StoreError::Removed`] while people want this host to stay out.
    async fn join(&self, lease: LeaseId, member: &Member) -> Result<(), StoreError>;

    /// Tests whether the store would accept a candidate of `lease` in `group`, with a write that
    /// needs everything that a campaign needs and leaves nothing behind: it notifies nobody and
    /// uses up no revision.
    ///
    /// # Errors
    /// Those that the campaign would get.
    async fn rehearse(&self, group: &Group, lease: LeaseId) -> Result<(), StoreError>;

    /// Makes every fencing token that the cluster is given from now on larger than `above`. To be
    /// called when this store may not know all fencing tokens that were given out: it was restored
    /// or replaced, or this is another one.
    ///
    /// If that takes any change, every candidate leaves its queue, and nobody leads for as long as
    /// `grace` (NFS calls that a grace period, RFC 8881 §8.4.2): longer than any lease of which the
    /// store may have lost the record. It is safe to repeat.
    async fn raise_tokens(&self, above: FencingToken, grace: Duration) -> Result<(), StoreError>;

    /// Writes a note, replacing the previous one about the topic.
    async fn write_note(&self, topic: &NoteTopic, note: &Note) -> Result<(), StoreError>;

    /// Erases a note, and returns whether there was one.
    async fn erase_note(&self, topic: &NoteTopic) -> Result<bool, StoreError>;

    /// Watches the whole cluster: the first item is its current state, and then there is one item
    /// for each change. Changes in quick succession may share an item, and an item may repeat the
    /// one before.
    async fn watch(&self) -> Result<RosterStream, StoreError>;

    /// Reports that this store turned out to be another one, or an older state of it, or that its
    /// fencing tokens were raised because somebody else has noticed that. Every
    /// connection that notices this reports it here before it passes on anything else from the
    /// store.
    fn mismatches(&self) -> watch::Receiver<Option<StoreMismatch>>;

    /// The state of the cluster's actions.
    ///
    /// If the store is reached over a network, this uses separate connections, driven by the
    /// current runtime, so that plugins' writes never delay a renewal.
    ///
    /// # Errors
    /// [`StoreError::Refused`] outside a tokio runtime.
    fn state(&self) -> Result<Arc<dyn StateStore>, StoreError>;

    /// What hosts record about their actions' jobs. This works exactly like the state of actions,
    /// but in a separate place, which neither actions nor people reach through
    /// [`state`](Store::state).
    ///
    /// # Errors
    /// Those of [`state`](Store::state).
    fn ledger(&self) -> Result<Arc<dyn StateStore>, StoreError>;

    /// The queued calls of the cluster's tasks, over separate connections like
    /// [`state`](Store::state).
    ///
    /// # Errors
    /// [`StoreError::Refused`] outside a tokio runtime.
    fn call_queue(&self) -> Result<Arc<dyn CallQueueStore>, StoreError>;

    /// All that the cluster keeps, to export and import it, over separate connections like
    /// [`state`](Store::state).
    ///
    /// # Errors
    /// [`StoreError::Refused`] outside a tokio runtime.
    fn backup(&self) -> Result<Arc<dyn BackupStore>, StoreError>;
}
