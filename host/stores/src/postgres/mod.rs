//! The PostgreSQL store, for PostgreSQL 13 or later.
//!
//! What shaped this module:
//!
//! - No clock of the server decides anything. Leases are observed (`observed_leases.rs`), and every
//!   process with an open session observes all of them ([`observer`]).
//! - It works behind PgBouncer in transaction mode. Nothing belongs to a connection: no lock, no
//!   setting and no statement outlives its transaction. Only notifications need a direct
//!   connection, and they make things faster, not possible ([`listener`]).
//! - Transactions are short, and hold a lock over no round trip where one statement can do it, since
//!   a host may freeze in the middle of it ([`transaction`]).
//! - Renewals have a connection of their own, and so has the observer.

mod access;
mod backup;
mod call_queue;
mod calls;
mod campaign;
mod certificates;
mod connection;
mod fault;
mod first_contact;
mod join;
mod last_look;
mod listener;
mod look;
mod observer;
mod observer_state;
mod passfile;
mod pool;
mod raise;
mod roster_writes;
mod rosters;
mod schema;
mod sqlstate;
mod state_store;
mod tls;
mod transaction;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::sync::watch::Receiver;
use tokio_postgres::types::Type;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::{
    access::PostgresAccess,
    backup::PostgresBackupStore,
    call_queue::PostgresCallQueueStore,
    calls::{PostgresCalls, PostgresWork},
    campaign::{CampaignTools, PostgresCampaign, PostgresCandidacy},
    observer::Observer,
    pool::{PostgresPool, PostgresSource},
    state_store::PostgresStateStore,
};
use super::{
    BackupStore, CallQueueStore, Candidate, Lease, Member, Note, NoteTopic, RosterStream,
    StateStore, Store, StoreError, StoreMismatch, keyed_locks::KeyedLocks, state_store::StateArea,
};
use soloist_config::PostgresUrl;
use soloist_heart::{FencingToken, Group, LeaderKey, LeaseId};

/// How many connections the calls of elections use.
const ELECTION_CONNECTIONS: usize = 2;
/// How many connections a backup uses: one to export, one to import.
const BACKUP_CONNECTIONS: usize = 2;
/// How many connections state, ledger and queued calls use together.
const WORK_CONNECTIONS: usize = 4;

/// One soloist cluster in a PostgreSQL.
pub(super) struct PostgresStore {
    source: PostgresSource,
    /// For sessions alone.
    sessions: PostgresCalls,
    /// For all else that elections need.
    elections: PostgresCalls,
    /// For state, ledger and queued calls, as long as anybody uses them.
    work: Mutex<Weak<PostgresPool>>,
    observer: Arc<Observer>,
    candidacy_locks: KeyedLocks<(Group, LeaseId)>,
    stop: CancellationToken,
    /// Ends the withdrawals that are under way when the store is dropped.
    _stop_on_drop: DropGuard,
}

impl PostgresStore {
    /// The store at `url`; the first call connects.
    pub(super) fn open(
        url: &PostgresUrl,
        cluster: &str,
        request_timeout: Duration,
    ) -> Result<Self, StoreError> {
        let access = PostgresAccess::new(url)?;
        let (label, cluster) = (access.label().into(), cluster.into());
        let source =
            PostgresSource { access, label, cluster, history: Arc::default(), request_timeout };
        let calls = |size| PostgresPool::new(&source, size).map(PostgresCalls::new);
        let (sessions, elections) = (calls(1)?, calls(ELECTION_CONNECTIONS)?);
        let observer = Arc::new(Observer::new(PostgresPool::new(&source, 1)?));
        let stop = CancellationToken::new();
        Ok(Self {
            sessions,
            elections,
            work: Mutex::default(),
            observer,
            candidacy_locks: KeyedLocks::default(),
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            source,
        })
    }

    /// Calls for state, ledger and queued calls, which share their connections. The runtime that
    /// the first of them is asked for on drives these.
    fn work(&self) -> Result<PostgresCalls, StoreError> {
        let mut shared = self.work.lock();
        let pool = match shared.upgrade() {
            Some(pool) => pool,
            None => PostgresPool::new(&self.source, WORK_CONNECTIONS)?,
        };
        *shared = Arc::downgrade(&pool);
        Ok(PostgresCalls::new(pool))
    }

    /// Makes a call that changes what rosters show. This process sees it at once.
    async fn change<A: Send + Sync + 'static, T: Send + 'static>(
        &self,
        attempted: &'static str,
        args: A,
        work: PostgresWork<A, T>,
    ) -> Result<T, StoreError> {
        let done = self.elections.call(attempted, args, work).await;
        self.observer.wake();
        done
    }

    /// The candidate's entry as it is stored.
    fn json(&self, attempted: &'static str, of: &Candidate) -> Result<String, StoreError> {
        serde_json::to_string(of).map_err(|error| self.elections.error(attempted, error.into()))
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn label(&self) -> &str {
        &self.source.label
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.elections.read("reach the store", "SELECT", (), |()| Vec::new()).await.map(drop)
    }

    async fn grant(&self, ttl: Duration) -> Result<Lease, StoreError> {
        self.observer.start();
        let grant: PostgresWork<_, _> = |tx, ttl| roster_writes::grant(tx, *ttl).boxed();
        self.sessions.call("open a session", ttl, grant).await
    }

    async fn renew(&self, lease: LeaseId) -> Result<Duration, StoreError> {
        let renew: PostgresWork<_, _> = |tx, lease| roster_writes::renew(tx, *lease).boxed();
        self.sessions.call("renew the session's lease", lease, renew).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        let revoke: PostgresWork<_, _> = |tx, lease| roster_writes::revoke(tx, *lease).boxed();
        let revoked = self.sessions.call("end the session", lease, revoke).await;
        self.observer.wake();
        revoked
    }

    async fn campaign(
        &self,
        group: &Group,
        lease: LeaseId,
        candidate: &Candidate,
    ) -> Result<LeaderKey, StoreError> {
        let value = self.json("campaign", candidate)?;
        let candidacy = PostgresCandidacy { group: group.clone(), lease, value };
        let lock = self.candidacy_locks.acquire((group.clone(), lease)).await;
        let (calls, observer) = (self.elections.clone(), Arc::clone(&self.observer));
        let tools = CampaignTools { calls, observer, stop: self.stop.clone() };
        PostgresCampaign { tools, candidacy, lock }.win().await
    }

    async fn verify(&self, key: &LeaderKey) -> Result<bool, StoreError> {
        let sql = "SELECT NOT EXISTS (SELECT FROM candidates AS other
                                      WHERE other.cluster = $1 AND other.grp = own.grp
                                        AND other.create_revision < own.create_revision)
                   FROM candidates AS own
                   WHERE cluster = $1 AND create_revision = $2 AND lease = $3";
        let attempted = "verify the leadership";
        let args = (key.fencing_token.0, key.lease.0);
        let verify = self.elections.read(attempted, sql, args, |(token, lease)| {
            vec![(token, Type::INT8), (lease, Type::INT8)]
        });
        let rows = verify.await?;
        let Some(row) = rows.first() else { return Ok(false) };
        row.try_get(0).map_err(|error| self.elections.error(attempted, error.into()))
    }

    async fn proclaim(&self, key: &LeaderKey, candidate: &Candidate) -> Result<(), StoreError> {
        let attempted = "proclaim the leader";
        let args = (key.fencing_token, self.json(attempted, candidate)?);
        self.change(attempted, args, |tx, (token, value)| {
            roster_writes::proclaim(tx, *token, value).boxed()
        })
        .await
    }

    async fn resign(&self, key: &LeaderKey) -> Result<(), StoreError> {
        self.change("resign", key.clone(), |tx, LeaderKey { group, lease, fencing_token, .. }| {
            roster_writes::withdraw(tx, group, *lease, Some(*fencing_token)).boxed()
        })
        .await
    }

    async fn join(&self, lease: LeaseId, member: &Member) -> Result<(), StoreError> {
        let removal = NoteTopic::Removal(member.name.clone()).name()?;
        let args = (lease, member.clone(), removal);
        self.change("join the cluster", args, |tx, (lease, member, removal)| {
            join::join(tx, *lease, member, removal).boxed()
        })
        .await
    }

    async fn rehearse(&self, group: &Group, lease: LeaseId) -> Result<(), StoreError> {
        let rehearse: PostgresWork<_, _> =
            |tx, (group, lease)| roster_writes::rehearse(tx, group, *lease).boxed();
        self.elections.call("rehearse a campaign", (group.clone(), lease), rehearse).await
    }

    async fn raise_tokens(&self, above: FencingToken, grace: Duration) -> Result<(), StoreError> {
        let raises =
            self.change("raise the fencing tokens", (above, grace), |tx, (above, grace)| {
                raise::raise_tokens(tx, *above, *grace).boxed()
            });
        self.source.history.observe_raise(0, raises.await?);
        Ok(())
    }

    async fn write_note(&self, topic: &NoteTopic, note: &Note) -> Result<(), StoreError> {
        let attempted = "write a note";
        let value = note.json().map_err(|error| self.elections.error(attempted, error.into()))?;
        let args = (topic.name()?, String::from_utf8_lossy(&value).into_owned());
        self.change(attempted, args, |tx, (name, value)| {
            roster_writes::write_note(tx, name, value).boxed()
        })
        .await
    }

    async fn erase_note(&self, topic: &NoteTopic) -> Result<bool, StoreError> {
        self.change("erase a note", topic.name()?, |tx, name| {
            roster_writes::erase_note(tx, name).boxed()
        })
        .await
    }

    async fn watch(&self) -> Result<RosterStream, StoreError> {
        rosters::watch(self.elections.clone(), Arc::clone(&self.observer)).await
    }

    fn mismatches(&self) -> Receiver<Option<StoreMismatch>> {
        self.source.history.mismatches()
    }

    fn state(&self) -> Result<Arc<dyn StateStore>, StoreError> {
        Ok(PostgresStateStore::new(self.work()?, StateArea::State))
    }

    fn ledger(&self) -> Result<Arc<dyn StateStore>, StoreError> {
        Ok(PostgresStateStore::new(self.work()?, StateArea::Ledger))
    }

    fn call_queue(&self) -> Result<Arc<dyn CallQueueStore>, StoreError> {
        Ok(PostgresCallQueueStore::new(self.work()?, Arc::clone(&self.observer)))
    }

    fn backup(&self) -> Result<Arc<dyn BackupStore>, StoreError> {
        let pool = PostgresPool::new(&self.source, BACKUP_CONNECTIONS)?;
        Ok(Arc::new(PostgresBackupStore::new(pool)))
    }
}
