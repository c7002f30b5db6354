//! What a store does, and what it promises.

use std::{future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio::sync::watch;

use crate::{
    cast::CastStore,
    error::StoreError,
    identity::StoreMismatch,
    member::Member,
    note::{Note, NoteTopic},
    roster::{Candidate, Roster},
    state_store::StateStore,
};
use soloist_heart::{Group, LeaderKey, LeaseId};

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
    ///
    /// # Errors
    /// [`StoreError::Refused`] for that, [`StoreError::Unavailable`] otherwise.
    async fn check(&self) -> Result<(), StoreError>;

    /// Opens a session: grants a lease of `ttl`, not below [`StoreUrl::min_ttl`](soloist_config::StoreUrl::min_ttl).
    ///
    /// A call that was given up may have granted a lease all the same; nobody
    /// knows it, and it runs out.
    async fn grant(&self, ttl: Duration) -> Result<Lease, StoreError>;

    /// Waits for what ends the session of `lease`, which was granted here, though nobody
    /// asks: returns when it is known that it may not be relied on any more, and says why.
    /// A store that can tell by its answers alone never returns.
    async fn session_lost(&self, _lease: LeaseId) -> StoreError {
        pending().await
    }

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
    /// One lease stands at most once in a group: who has won and stands again
    /// finds the same key. Dropping the future withdraws the candidate, at the
    /// latest when its lease ends, and so may an error; whoever stands again
    /// then stands last. One call at a time may wait for a lease and group.
    ///
    /// A win may be stale when it is learnt: [`verify`](Store::verify) it.
    ///
    /// # Errors
    /// [`StoreError::LeaseGone`] when the lease has ended, where the store can
    /// tell (etcd tells only before the wait), and whatever breaks the wait.
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

    /// Enters this host among the members, as long as `lease` lives, or has it say something
    /// else of itself. A name is one host's: another's entry is replaced only if this member
    /// [outlives](Member::outlives) it, or if no lease holds it.
    ///
    /// # Errors
    /// [`StoreError::LeaseGone`] when the lease has ended, [`StoreError::NameTaken`] while
    /// another session goes by this name, [`StoreError::Removed`] while people want this host
    /// to stay out.
    async fn join(&self, lease: LeaseId, member: &Member) -> Result<(), StoreError>;

    /// Tries whether the store would take a candidate of `lease` in `group`, by a write that
    /// asks of it what a campaign does and leaves nothing behind: nobody is woken, and no
    /// revision is used up.
    ///
    /// # Errors
    /// What the campaign would meet.
    async fn rehearse(&self, group: &Group, lease: LeaseId) -> Result<(), StoreError>;

    /// Writes a note, in the place of the one before.
    async fn write_note(&self, topic: &NoteTopic, note: &Note) -> Result<(), StoreError>;

    /// Takes a note away, and says whether there was one.
    async fn erase_note(&self, topic: &NoteTopic) -> Result<bool, StoreError>;

    /// Watches the whole cluster: first its present state, then one item a
    /// change; changes in quick succession may share one. An item may repeat
    /// the one before.
    async fn watch(&self) -> Result<RosterStream, StoreError>;

    /// How this store turns out not to be the one that it was: another one, or an older one.
    /// Whatever way notices that tells it here before it hands on anything else of the store.
    fn mismatches(&self) -> watch::Receiver<Option<StoreMismatch>>;

    /// The state of the cluster's actions.
    ///
    /// Where the store is reached by a network, that is by connections of their
    /// own, which the current runtime drives: what plugins write must not stand
    /// in a renewal's way.
    ///
    /// # Errors
    /// [`StoreError::Refused`] outside a tokio runtime.
    fn state(&self) -> Result<Arc<dyn StateStore>, StoreError>;

    /// What this host keeps of its actions' jobs: the same in every respect, in a place of
    /// its own, which neither actions nor people reach by [`state`](Store::state).
    ///
    /// # Errors
    /// The same.
    fn ledger(&self) -> Result<Arc<dyn StateStore>, StoreError>;

    /// The casts of the cluster's tasks, by connections of their own as [`state`](Store::state).
    ///
    /// # Errors
    /// [`StoreError::Refused`] outside a tokio runtime.
    fn casts(&self) -> Result<Arc<dyn CastStore>, StoreError>;
}
