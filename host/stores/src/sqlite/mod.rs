//! The embedded store: one SQLite file, shared by the hosts of one machine.
//!
//! Leases run on the boot-time clock, which all processes of a machine share. The clock's identity
//! is stored with each lease, so leases of an earlier boot can be recognised. Limits: the file must
//! be on a local disk (SQLite's write-ahead log needs shared memory), and a process that is frozen
//! in the middle of a transaction blocks all others until it continues. Removing the file while
//! hosts run makes a new store, and replacing it by an older one makes another: each host notices
//! within the polling interval or at its next call, and loses its session. The same happens if the
//! files that SQLite keeps next to it are removed, or if anybody uses the file under another name.

mod backup;
mod call_queue;
mod change_listener;
mod database_path;
mod file;
mod join;
mod locks;
mod marked_connection;
mod reader;
mod readers;
mod reads;
mod schema;
mod sqlite_config;
mod sqlite_fault;
mod state_store;
mod waiters;
mod worker;
mod worker_calls;
mod write_queue;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use tokio::sync::{oneshot, watch};

use self::{
    backup::SqliteBackupStore,
    call_queue::SqliteCallQueueStore,
    readers::SqliteReaders,
    reads::CandidatePosition,
    sqlite_config::SqliteConfig,
    sqlite_fault::SqliteFault,
    state_store::SqliteStateStore,
    waiters::RosterWatcher,
    worker::{POLL, WorkerHandle, WorkerMessage},
    worker_calls::{WorkerCalls, answered},
};
use super::{
    BackupStore, CallQueueStore, Candidate, Lease, Member, Note, NoteTopic, Roster, RosterStream,
    StateStore, Store, StoreError, StoreMismatch, state_store::StateArea,
};
use soloist_heart::{FencingToken, Group, LeaderKey, LeaseId, clock::BootTime};

/// One soloist cluster in an SQLite file.
pub(super) struct SqliteStore {
    calls: WorkerCalls,
}

impl SqliteStore {
    /// The store in the file at `path`; the first call opens or creates it.
    pub(super) fn open(
        path: &Path,
        cluster: &str,
        request_timeout: Duration,
    ) -> Result<Self, StoreError> {
        let label = format!("sqlite {}", path.display());
        let source = SqliteConfig {
            path: path.to_owned(),
            cluster: cluster.into(),
            history: Arc::default(),
            // Shorter than a call, so that the call can still report the reason.
            busy: request_timeout / 2,
        };
        let readers = Arc::<SqliteReaders>::default();
        let worker = WorkerHandle::start(source.clone(), readers.clone());
        let worker = Arc::new(worker.map_err(|fault| fault.into_error(OPEN, &label))?);
        let calls = WorkerCalls { label: label.into(), worker, readers, source, request_timeout };
        Ok(Self { calls })
    }
}

/// The attempted action while opening, for error texts.
const OPEN: &str = "open the store";
/// How long a starting host waits for others to let go of a log that was removed; each of them
/// notices within a quarter of that.
const LEAVE: Duration = POLL.saturating_mul(4);

#[async_trait]
impl Store for SqliteStore {
    fn label(&self) -> &str {
        &self.calls.label
    }

    async fn check(&self) -> Result<(), StoreError> {
        let until = BootTime::now() + LEAVE;
        let within = self.calls.request_timeout + LEAVE;
        loop {
            match self.calls.ask(within, |_| Ok(())).await {
                // The others are about to notice, if they are running.
                Err(SqliteFault::OtherLog) if BootTime::now() < until => {}
                done => return done.map_err(|fault| fault.into_error(OPEN, &self.calls.label)),
            }
        }
    }

    async fn grant(&self, ttl: Duration) -> Result<Lease, StoreError> {
        self.calls.call("open a session", move |file| file.grant(ttl)).await
    }

    async fn session_lost(&self, lease: LeaseId) -> StoreError {
        let (reply, answer) = oneshot::channel();
        self.calls.worker.send(WorkerMessage::WatchSession { lease, reply });
        let fault = answer.await.unwrap_or(SqliteFault::Closed);
        fault.into_error("rely on the session", &self.calls.label)
    }

    async fn renew(&self, lease: LeaseId) -> Result<Duration, StoreError> {
        self.calls.call("renew the session's lease", move |file| file.renew(lease)).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.calls.call("end the session", move |file| file.revoke(lease)).await
    }

    async fn campaign(
        &self,
        group: &Group,
        lease: LeaseId,
        candidate: &Candidate,
    ) -> Result<LeaderKey, StoreError> {
        let store_error = |fault: SqliteFault| fault.into_error("campaign", &self.calls.label);
        let value = serde_json::to_string(candidate).map_err(|error| store_error(error.into()))?;
        let (reply, answer) = oneshot::channel();
        let mut caller = CampaignCaller { worker: &self.calls.worker, answer };
        let group = group.clone();
        self.calls.worker.send(WorkerMessage::Campaign { group, lease, value, reply });
        (&mut caller.answer).await.unwrap_or(Err(SqliteFault::Superseded)).map_err(store_error)
    }

    async fn verify(&self, key: &LeaderKey) -> Result<bool, StoreError> {
        let fencing_token = key.fencing_token;
        let position = self
            .calls
            .call("verify the leadership", move |file| file.verify(fencing_token))
            .await?;
        Ok(position == CandidatePosition::First)
    }

    async fn proclaim(&self, key: &LeaderKey, candidate: &Candidate) -> Result<(), StoreError> {
        let (fencing_token, candidate) = (key.fencing_token, candidate.clone());
        self.calls
            .call("proclaim the leader", move |file| {
                file.proclaim(fencing_token, &serde_json::to_string(&candidate)?)
            })
            .await
    }

    async fn resign(&self, key: &LeaderKey) -> Result<(), StoreError> {
        let fencing_token = key.fencing_token;
        self.calls.call("resign", move |file| file.withdraw(fencing_token)).await
    }

    async fn join(&self, lease: LeaseId, member: &Member) -> Result<(), StoreError> {
        let (member, removal) = (member.clone(), NoteTopic::Removal(member.name.clone()).name()?);
        self.calls
            .call("join the cluster", move |file| join::join(file, lease, &member, &removal))
            .await
    }

    async fn rehearse(&self, group: &Group, lease: LeaseId) -> Result<(), StoreError> {
        let group = group.clone();
        self.calls.call("rehearse a campaign", move |file| file.rehearse(&group, lease)).await
    }

    async fn raise_tokens(&self, above: FencingToken, grace: Duration) -> Result<(), StoreError> {
        self.calls
            .call("raise the fencing tokens", move |file| file.raise_tokens(above, grace))
            .await
    }

    async fn write_note(&self, topic: &NoteTopic, note: &Note) -> Result<(), StoreError> {
        let (name, note) = (topic.name()?, note.clone());
        self.calls.call("write a note", move |file| file.note(&name, &note.json()?)).await
    }

    async fn erase_note(&self, topic: &NoteTopic) -> Result<bool, StoreError> {
        let name = topic.name()?;
        self.calls.call("erase a note", move |file| file.erase(&name)).await
    }

    fn mismatches(&self) -> watch::Receiver<Option<StoreMismatch>> {
        self.calls.source.history.mismatches()
    }

    async fn watch(&self) -> Result<RosterStream, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.calls.worker.send(WorkerMessage::Watch(reply));
        let store_error = |fault: SqliteFault| fault.into_error(WATCH, &self.calls.label);
        let watcher = answered(self.calls.request_timeout, answer).await.map_err(store_error)?;
        Ok(rosters(watcher, self.calls.worker.clone(), self.calls.label.clone()))
    }

    fn state(&self) -> Result<Arc<dyn StateStore>, StoreError> {
        Ok(Arc::new(SqliteStateStore::new(self.calls.clone(), StateArea::State)?))
    }

    fn ledger(&self) -> Result<Arc<dyn StateStore>, StoreError> {
        Ok(Arc::new(SqliteStateStore::new(self.calls.clone(), StateArea::Ledger)?))
    }

    fn call_queue(&self) -> Result<Arc<dyn CallQueueStore>, StoreError> {
        Ok(Arc::new(SqliteCallQueueStore::new(self.calls.clone())?))
    }

    fn backup(&self) -> Result<Arc<dyn BackupStore>, StoreError> {
        Ok(Arc::new(SqliteBackupStore::new(self.calls.clone())?))
    }
}

/// The attempted action while watching, for error texts.
const WATCH: &str = "watch the cluster";

/// The updates of `watcher` as a stream, which keeps the worker alive and ends after an error.
fn rosters(watcher: RosterWatcher, worker: Arc<WorkerHandle>, label: Arc<str>) -> RosterStream {
    stream::unfold(Some((watcher, worker, label)), |state| async {
        let (mut watcher, worker, label) = state?;
        match next(&mut watcher).await {
            Ok(roster) => Some((Ok(roster), Some((watcher, worker, label)))),
            Err(fault) => Some((Err(fault.into_error(WATCH, &label)), None)),
        }
    })
    .boxed()
}

async fn next(watcher: &mut RosterWatcher) -> Result<Roster, SqliteFault> {
    watcher.changed().await.map_err(|_| SqliteFault::Closed)?;
    watcher.borrow_and_update().clone().map_err(SqliteFault::Broken)
}

/// A campaign whose caller may leave at any moment.
struct CampaignCaller<'a> {
    worker: &'a WorkerHandle,
    answer: oneshot::Receiver<Result<LeaderKey, SqliteFault>>,
}

impl Drop for CampaignCaller<'_> {
    /// Either the answer has already arrived and is taken back here, or the worker finds the
    /// channel closed; there is no third case.
    fn drop(&mut self) {
        self.answer.close();
        self.worker.send(match self.answer.try_recv() {
            Ok(Ok(key)) => WorkerMessage::Withdraw(key.fencing_token),
            _ => WorkerMessage::CheckChanges,
        });
    }
}
