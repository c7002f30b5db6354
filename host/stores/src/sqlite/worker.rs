//! The worker: a thread that owns the file, and serves everybody who waits for it.
//!
//! ```text
//!   calls ─────┐
//!   listener ──┼──► inbox ──► handle a message ──► bring everybody up to date:
//!   timer ─────┘                  ▲                expired leases, abandoned candidates,
//!   writes of state and queued calls ────┘                winners, watchers of the roster
//!     (one at a time, when the inbox is empty)
//! ```
//!
//! Invariant: messages are handled in the order in which they were sent. So a withdrawal is
//! finished before the same lease stands again, and never affects the row of the later campaign.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    change_listener::ChangeListener,
    file::SqliteFile,
    readers::SqliteReaders,
    sqlite_config::SqliteConfig,
    sqlite_fault::SqliteFault,
    waiters::{RosterWatcher, SqliteCampaign, Waiters},
    write_queue::{FileWork, QueuedWrite, WriteQueue},
};
use soloist_heart::{FencingToken, Group, LeaderKey, LeaseId, clock::BootTime};
use soloist_telemetry::log_throttle::LogThrottle;
use soloist_text::with_causes;

/// The interval at which the worker checks for changes even if nothing was heard: for file systems
/// without notifications, databases edited by hand, and a machine that was suspended.
pub(super) const POLL: Duration = Duration::from_millis(250);

/// A message to the worker.
pub(super) enum WorkerMessage {
    /// Do this work.
    Work(FileWork),
    /// Do this write when it is its turn.
    Write(QueuedWrite),
    /// Stand for election, and answer when it is won.
    Campaign {
        group: Group,
        lease: LeaseId,
        value: String,
        reply: oneshot::Sender<Result<LeaderKey, SqliteFault>>,
    },
    /// Take back a win whose caller has left.
    Withdraw(FencingToken),
    /// Send the current roster, and each later one.
    Watch(oneshot::Sender<Result<RosterWatcher, SqliteFault>>),
    /// Report when the session of this lease, which was granted here, can no longer be relied on.
    WatchSession { lease: LeaseId, reply: oneshot::Sender<SqliteFault> },
    /// Check whether something has changed.
    CheckChanges,
    /// End the thread.
    Stop,
}

/// How long to wait at the end for the work in hand: a call on a file system that hangs cannot be
/// interrupted.
const LAST_WORK: Duration = Duration::from_millis(500);

/// The running worker. It ends when this is dropped.
pub(super) struct WorkerHandle {
    inbox: Sender<WorkerMessage>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl WorkerHandle {
    pub(super) fn start(
        source: SqliteConfig,
        readers: Arc<SqliteReaders>,
    ) -> Result<Self, SqliteFault> {
        let (inbox, messages) = channel();
        let worker = SqliteWorker {
            source,
            readers,
            inbox: inbox.clone(),
            file: None,
            waiting: Waiters::default(),
            turns: WriteQueue::new(),
            linked: false,
            trouble: LogThrottle::default(),
            no_notifications: LogThrottle::default(),
        };
        let (runs, ended) = channel();
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                worker.run(&messages);
                drop::<Sender<()>>(runs);
            })
            .map_err(SqliteFault::Start)?;
        Ok(Self { inbox, thread: Some(thread), ended: Mutex::new(ended) })
    }

    /// Sends a message. A worker that has ended drops it, and with it the channel for the answer.
    pub(super) fn send(&self, message: WorkerMessage) {
        let _ = self.inbox.send(message);
    }
}

impl Drop for WorkerHandle {
    /// Waits for the work in hand, so that the file is closed when the store is; but not forever.
    fn drop(&mut self) {
        self.send(WorkerMessage::Stop);
        let ended = self.ended.get_mut();
        if ended.recv_timeout(LAST_WORK) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(
                event = "store-hangs",
                "the store's file does not respond, and is not used until it does: check its file \
                 system"
            );
            return;
        }
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the store's thread panicked");
        }
    }
}

struct SqliteWorker {
    source: SqliteConfig,
    readers: Arc<SqliteReaders>,
    /// The worker's own inbox, for the listener.
    inbox: Sender<WorkerMessage>,
    file: Option<(SqliteFile, Option<ChangeListener>)>,
    waiting: Waiters,
    turns: WriteQueue,
    /// Whether it was reported that the file has several names.
    linked: bool,
    /// Warnings about errors of the file.
    trouble: LogThrottle,
    /// Warnings that file notifications do not work.
    no_notifications: LogThrottle,
}

impl SqliteWorker {
    fn run(mut self, messages: &Receiver<WorkerMessage>) {
        loop {
            match messages.recv_timeout(self.wait_time()) {
                Ok(WorkerMessage::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => self.write(),
            }
            self.bring_up_to_date();
        }
    }

    /// The time until the next lease expires or the next write may be made, at most [`POLL`].
    fn wait_time(&mut self) -> Duration {
        let expiry = self.file.as_ref().and_then(|(file, _)| file.first_expiry().ok());
        let next = expiry.unwrap_or(BootTime::NEVER).min(self.turns.next_at());
        next.since(BootTime::now()).min(POLL)
    }

    /// Makes one write, if it is time.
    fn write(&mut self) {
        let began = BootTime::now();
        if began < self.turns.next_at() {
            return;
        }
        if let Some(QueuedWrite { work, .. }) = self.turns.next() {
            work(self.file());
            self.turns.rest(BootTime::now().since(began));
        }
    }

    fn handle(&mut self, message: WorkerMessage) {
        match message {
            WorkerMessage::Work(work) => work(self.file()),
            WorkerMessage::Write(write) => self.turns.push(write),
            WorkerMessage::Campaign { group, lease, value, reply } => {
                match self.file().and_then(|file| file.stand(&group, lease, &value)) {
                    Ok(fencing_token) => self.waiting.add_campaign(SqliteCampaign {
                        group,
                        lease,
                        fencing_token,
                        reply,
                    }),
                    // If the caller has left, nothing was added to the queue.
                    Err(fault) => drop(reply.send(Err(fault))),
                }
            }
            WorkerMessage::Withdraw(fencing_token) => self.waiting.withdraw(fencing_token),
            WorkerMessage::Watch(reply) => {
                // An expired lease that cannot be removed would show a host that is gone.
                let swept = |file: &mut SqliteFile| sweep(file).and_then(|()| file.roster());
                let roster = self.file().and_then(swept);
                drop(reply.send(roster.map(|roster| self.waiting.add_watcher(roster))));
            }
            WorkerMessage::WatchSession { lease, reply } => {
                match &self.file {
                    Some((file, _)) if file.has_granted(lease) => self.waiting.add_session(reply),
                    // The session was lost before this request.
                    _ => drop(reply.send(SqliteFault::Lost)),
                }
            }
            WorkerMessage::CheckChanges | WorkerMessage::Stop => {}
        }
    }

    /// Brings everybody who waits up to date with the file.
    fn bring_up_to_date(&mut self) {
        let Some((file, _)) = &mut self.file else {
            return;
        };
        match bring_up_to_date(file, &mut self.waiting) {
            Ok(()) => {
                let path = self.source.path.display();
                self.trouble.recovered(|repeats| {
                    tracing::info!(%path, "the store's file works again{repeats}");
                });
                self.check_links();
            }
            // Another process holds the lock; the next check comes soon.
            Err(fault) if fault.is_busy() => tracing::debug!(%fault, "the store's file is busy"),
            Err(fault) => self.drop_file(&fault),
        }
    }

    /// Closes the file, and notifies everybody who waits.
    fn drop_file(&mut self, fault: &SqliteFault) {
        let (text, path) = (with_causes(fault), self.source.path.display());
        self.trouble.report_text(
            &text,
            |repeats| tracing::warn!(%path, "the store's file: {text}{repeats}"),
        );
        // Notify first: closing may take as long as the disk takes.
        self.waiting.fail(fault);
        if let (SqliteFault::LogReplaced, Some((file, _))) = (fault, &self.file) {
            file.checkpoint();
        }
        self.file = None;
        self.readers.close_replaced();
    }

    /// An additional name does no harm yet, but no other host can start any more.
    fn check_links(&mut self) {
        let names = self.file.as_ref().and_then(|(file, _)| file.link_count().ok()).unwrap_or(1);
        if names > 1 && !self.linked {
            tracing::warn!(
                path = %self.source.path.display(),
                "the store's file has {names} names (hard links): remove the others, or no host \
                 starts any more, since one that used another would have another log"
            );
        }
        self.linked = names > 1;
    }

    /// The file. It is opened if necessary, and again after it was replaced.
    fn file(&mut self) -> Result<&mut SqliteFile, SqliteFault> {
        if let Some(Err(fault)) = self.file.as_ref().map(|(file, _)| file.check_same()) {
            self.drop_file(&fault);
            return Err(fault);
        }
        if self.file.is_none() {
            self.readers.close_replaced();
            self.file = Some(self.open()?);
        }
        self.file.as_mut().map(|(file, _)| file).ok_or(SqliteFault::Closed)
    }

    fn open(&self) -> Result<(SqliteFile, Option<ChangeListener>), SqliteFault> {
        let file = SqliteFile::open(&self.source)?;
        let inbox = self.inbox.clone();
        let listener = ChangeListener::listen(file.path(), move || {
            drop(inbox.send(WorkerMessage::CheckChanges))
        });
        let listener = listener.inspect_err(|error| {
            self.no_notifications.report(|repeats| {
                tracing::warn!(%error, "no file notifications: others' changes are seen {POLL:?} late{repeats}");
            });
        });
        Ok((file, listener.ok()))
    }
}

/// Removes expired leases.
fn sweep(file: &mut SqliteFile) -> Result<(), SqliteFault> {
    if file.first_expiry()? <= BootTime::now() { file.sweep() } else { Ok(()) }
}

fn bring_up_to_date(file: &mut SqliteFile, waiting: &mut Waiters) -> Result<(), SqliteFault> {
    file.check_same()?;
    file.observe_foreign_leases()?;
    sweep(file)?;
    waiting.withdraw_abandoned(file)?;
    if file.changed()? {
        // A change that could not be read must be looked at again.
        file.check_identity()
            .and_then(|()| waiting.notify_all(file))
            .inspect_err(|_| file.mark_changed())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_does_not_come_back_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let source = SqliteConfig {
            path: folder.path().join("a.db"),
            cluster: "test".into(),
            history: Arc::default(),
            busy: Duration::from_millis(100),
        };
        let worker = WorkerHandle::start(source, Arc::default()).unwrap();
        let (end, hangs) = channel::<()>();
        let (began, begins) = channel();
        worker.send(WorkerMessage::Work(Box::new(move |_| {
            let _ = began.send(());
            let _ = hangs.recv();
        })));
        begins.recv().unwrap();
        let (dropped, done) = channel();
        thread::spawn(move || {
            drop(worker);
            dropped.send(()).unwrap();
        });
        done.recv_timeout(60 * LAST_WORK).unwrap();
        drop(end);
    }
}
