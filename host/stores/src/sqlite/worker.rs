//! The worker: one thread that owns the file, and everybody who waits on it.
//!
//! ```text
//!   calls ─────┐
//!   the bell ──┼──► inbox ──► carry out ──► settle: sweep the dead, withdraw who
//!   a timer ───┘                  ▲         left, tell who won, publish the roster
//!   writes of state and casts ────┘ one at a time, when nothing else is there
//! ```
//!
//! Invariant: messages are carried out in the order they were sent. So a
//! withdrawal is done before the same lease stands again, and never meets a
//! row of the later campaign.

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
    bell::Bell,
    fault::Fault,
    file::File,
    readers::Readers,
    source::Source,
    turns::{Turns, Work, Write},
    waiting::{Campaign, Waiting, Watcher},
};
use soloist_heart::{Group, LeaderKey, LeaseId, Token, clock::BootTime};
use soloist_telemetry::repeats::Repeats;
use soloist_text::with_causes;

/// How often the worker looks although nothing was heard: file systems without
/// notifications, databases edited by hand, and a machine that was suspended.
pub(super) const POLL: Duration = Duration::from_millis(250);

/// What the worker is told.
pub(super) enum Message {
    /// Carry this out.
    Work(Work),
    /// Carry this out in its turn.
    Write(Write),
    /// Stand for election and answer when it is won.
    Campaign {
        group: Group,
        lease: LeaseId,
        value: String,
        reply: oneshot::Sender<Result<LeaderKey, Fault>>,
    },
    /// Take back a win that nobody came for.
    Withdraw(Token),
    /// Send the present roster, and each later one.
    Watch(oneshot::Sender<Result<Watcher, Fault>>),
    /// Tell when the lease, which was granted here, is not to be relied on any more.
    Attend { lease: LeaseId, reply: oneshot::Sender<Fault> },
    /// Look whether something has changed.
    Look,
    /// End.
    Stop,
}

/// How long the work in hand is waited for at the end: nothing can interrupt a call on a file
/// system that hangs.
const LAST_WORK: Duration = Duration::from_millis(500);

/// The running worker. It ends when this is dropped.
pub(super) struct Handle {
    inbox: Sender<Message>,
    thread: Option<JoinHandle<()>>,
    /// Disconnected when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl Handle {
    pub(super) fn start(source: Source, readers: Arc<Readers>) -> Result<Self, Fault> {
        let (inbox, messages) = channel();
        let worker = Worker {
            source,
            readers,
            bell: inbox.clone(),
            file: None,
            waiting: Waiting::default(),
            turns: Turns::new(),
            linked: false,
            trouble: Repeats::default(),
            deaf: Repeats::default(),
        };
        let (runs, ended) = channel();
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                worker.run(&messages);
                drop::<Sender<()>>(runs);
            })
            .map_err(Fault::Start)?;
        Ok(Self { inbox, thread: Some(thread), ended: Mutex::new(ended) })
    }

    /// Tells the worker. One that has ended drops the message, and with it whatever would answer.
    pub(super) fn tell(&self, message: Message) {
        let _ = self.inbox.send(message);
    }
}

impl Drop for Handle {
    /// Waits for the work in hand, so that the file is closed when the store is; but not for
    /// ever.
    fn drop(&mut self) {
        self.tell(Message::Stop);
        let ended = self.ended.get_mut();
        if ended.recv_timeout(LAST_WORK) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!(
                event = "store-hangs",
                "the store's file does not answer, and is left as it is: look at its file system"
            );
            return;
        }
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the store's thread panicked");
        }
    }
}

struct Worker {
    source: Source,
    readers: Arc<Readers>,
    bell: Sender<Message>,
    file: Option<(File, Option<Bell>)>,
    waiting: Waiting,
    turns: Turns,
    /// Whether it was told that the file has other names.
    linked: bool,
    /// What is the matter with the file.
    trouble: Repeats,
    /// Nothing tells of others' changes.
    deaf: Repeats,
}

impl Worker {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            match messages.recv_timeout(self.patience()) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(message) => self.carry_out(message),
                Err(RecvTimeoutError::Timeout) => self.write(),
            }
            self.settle();
        }
    }

    /// Until the next lease runs out or the next write may be made, at most [`POLL`].
    fn patience(&mut self) -> Duration {
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
        if let Some(Write { work, .. }) = self.turns.next() {
            work(self.file());
            self.turns.rest(BootTime::now().since(began));
        }
    }

    fn carry_out(&mut self, message: Message) {
        match message {
            Message::Work(work) => work(self.file()),
            Message::Write(write) => self.turns.push(write),
            Message::Campaign { group, lease, value, reply } => {
                match self.file().and_then(|file| file.stand(&group, lease, &value)) {
                    Ok(token) => self.waiting.stands(Campaign { group, lease, token, reply }),
                    // Whoever asked may have left; then nothing stands.
                    Err(fault) => drop(reply.send(Err(fault))),
                }
            }
            Message::Withdraw(token) => self.waiting.withdraw(token),
            Message::Watch(reply) => {
                // A lease that has run out and cannot be cleared away would show a host that
                // is gone.
                let swept = |file: &mut File| sweep(file).and_then(|()| file.roster());
                let roster = self.file().and_then(swept);
                drop(reply.send(roster.map(|roster| self.waiting.watch(roster))));
            }
            Message::Attend { lease, reply } => {
                match &self.file {
                    Some((file, _)) if file.has_granted(lease) => self.waiting.attend(reply),
                    // It was lost before this was asked.
                    _ => drop(reply.send(Fault::Lost)),
                }
            }
            Message::Look | Message::Stop => {}
        }
    }

    /// Brings everybody who waits up to date with the file.
    fn settle(&mut self) {
        let Some((file, _)) = &mut self.file else {
            return;
        };
        match settle(file, &mut self.waiting) {
            Ok(()) => {
                let path = self.source.path.display();
                self.trouble.over(|told| {
                    tracing::info!(%path, "the store's file is well again{told}");
                });
                self.look_at_names();
            }
            // Another process holds the lock; the next look is soon.
            Err(fault) if fault.is_busy() => tracing::debug!(%fault, "the store's file is busy"),
            Err(fault) => self.lose(&fault),
        }
    }

    /// Lets go of the file, and tells everybody who waits.
    fn lose(&mut self, fault: &Fault) {
        let (text, path) = (with_causes(fault), self.source.path.display());
        self.trouble.said(&text, |told| tracing::warn!(%path, "the store's file: {text}{told}"));
        // First: to close it may take as long as its disk does.
        self.waiting.fail(fault);
        if let (Fault::Parted, Some((file, _))) = (fault, &self.file) {
            file.save();
        }
        self.file = None;
        self.readers.close_strayed();
    }

    /// A name that was added does no harm yet; but nobody can start any more.
    fn look_at_names(&mut self) {
        let names = self.file.as_ref().and_then(|(file, _)| file.names().ok()).unwrap_or(1);
        if names > 1 && !self.linked {
            tracing::warn!(
                path = %self.source.path.display(),
                "the store's file has {names} names (hard links): remove the others, or no host \
                 starts any more, since one that used another would have another log"
            );
        }
        self.linked = names > 1;
    }

    /// The file: opened if it is not, and again if it was replaced.
    fn file(&mut self) -> Result<&mut File, Fault> {
        if let Some(Err(fault)) = self.file.as_ref().map(|(file, _)| file.same()) {
            self.lose(&fault);
            return Err(fault);
        }
        if self.file.is_none() {
            self.readers.close_strayed();
            self.file = Some(self.open()?);
        }
        self.file.as_mut().map(|(file, _)| file).ok_or(Fault::Closed)
    }

    fn open(&self) -> Result<(File, Option<Bell>), Fault> {
        let file = File::open(&self.source)?;
        let inbox = self.bell.clone();
        let bell = Bell::listen(file.path(), move || drop(inbox.send(Message::Look)));
        let bell = bell.inspect_err(|error| {
            self.deaf.happened(|told| {
                tracing::warn!(%error, "no file notifications: others' changes are seen {POLL:?} late{told}");
            });
        });
        Ok((file, bell.ok()))
    }
}

/// Clears away what has run out.
fn sweep(file: &mut File) -> Result<(), Fault> {
    if file.first_expiry()? <= BootTime::now() { file.sweep() } else { Ok(()) }
}

fn settle(file: &mut File, waiting: &mut Waiting) -> Result<(), Fault> {
    file.same()?;
    file.look_at_strangers()?;
    sweep(file)?;
    waiting.withdraw_left(file)?;
    if file.changed()? {
        // An unread change must be looked at again.
        file.look().and_then(|()| waiting.tell(file)).inspect_err(|_| file.forget())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_does_not_come_back_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let source = Source {
            path: folder.path().join("a.db"),
            cluster: "test".into(),
            memory: Arc::default(),
            busy: Duration::from_millis(100),
        };
        let worker = Handle::start(source, Arc::default()).unwrap();
        let (end, hangs) = channel::<()>();
        let (began, begins) = channel();
        worker.tell(Message::Work(Box::new(move |_| {
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
