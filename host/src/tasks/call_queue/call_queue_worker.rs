//! The worker: claims queued calls from the queue and runs them on this host.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt};
use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    CallQueueSettings, CallQueueSettingsByTask, QueuedCallRunner,
    queue::CallQueue,
    queue_updates::{QueueUpdate, queue_updates},
    queued_call_attempt::{AttemptEnd, QueuedCallAttempt},
};
use soloist_heart::{LeaseId, clock::BootTime};
use soloist_stores::{CallClaimer, CallQueueStore, QueuedCallKey, Roster, WaitingCall};
use soloist_telemetry::log_throttle::LogThrottle;

/// How long giving queued calls back may take at a stop. Queued calls that were not given back by
/// then are free when the session ends.
const RELEASE_MAX: Duration = Duration::from_secs(2);

/// Runs queued calls on this host.
pub struct CallQueueWorker {
    /// The queue in the store.
    pub call_queue: Arc<dyn CallQueueStore>,
    /// What runs the queued calls.
    pub runner: Arc<dyn QueuedCallRunner>,
    /// The name of this host.
    pub host: Arc<str>,
    /// The lease that queued calls are claimed under, as long as the host may rely on it. The
    /// worker ends when the sender is dropped.
    pub session: watch::Receiver<Option<LeaseId>>,
    /// The members; their number decides how far down the queue the worker picks.
    pub roster: watch::Receiver<Option<Roster>>,
    /// The pause before a failed call to the store is repeated.
    pub retry: Duration,
}

impl CallQueueWorker {
    /// Runs queued calls until `ending` is cancelled. Attempts under way may then finish within
    /// `drain`; after that, their queued calls are given back, so that other hosts can do them at
    /// once.
    ///
    /// To be awaited before the session is ended.
    pub async fn run(self, ending: CancellationToken, drain: Duration) {
        let mut running = CallQueueWorkerLoop::new(self);
        running.work(&ending).await;
        running.shut_down(drain).await;
    }
}

/// The state of a running worker.
struct CallQueueWorkerLoop {
    worker: CallQueueWorker,
    tasks: watch::Receiver<CallQueueSettingsByTask>,
    queue: CallQueue,
    session: Option<ClaimSession>,
    attempts: JoinSet<AttemptEnd>,
    /// The queued call of each attempt.
    in_progress: HashMap<Id, WaitingCall>,
    /// How many attempts are under way, by task.
    busy_slots: BTreeMap<Arc<str>, usize>,
    /// Throttles the log lines about dead letters, by task.
    dead_letter_logs: HashMap<Arc<str>, Arc<LogThrottle>>,
    release: CancellationToken,
    random: fastrand::Rng,
}

/// The session that queued calls are claimed under.
struct ClaimSession {
    lease: LeaseId,
    /// Whether the store has refused the lease. The host will notice that too, a little later.
    is_gone: bool,
    /// Cancelled when the session ends.
    live: CancellationToken,
}

impl CallQueueWorkerLoop {
    fn new(worker: CallQueueWorker) -> Self {
        let tasks = worker.runner.tasks();
        Self {
            worker,
            tasks,
            queue: CallQueue::default(),
            session: None,
            attempts: JoinSet::new(),
            in_progress: HashMap::new(),
            busy_slots: BTreeMap::new(),
            dead_letter_logs: HashMap::new(),
            release: CancellationToken::new(),
            random: fastrand::Rng::new(),
        }
    }

    async fn work(&mut self, ending: &CancellationToken) {
        let mut updates = queue_updates(self.worker.call_queue.clone(), self.worker.retry);
        let mut tasks_change = true;
        loop {
            self.follow_session();
            self.start_ready_calls();
            let pause = self.until_next_due();
            tokio::select! {
                // Ends are handled before anything new is started.
                biased;
                () = ending.cancelled() => return,
                changed = self.worker.session.changed() => if changed.is_err() { return },
                Some(ended) = self.attempts.join_next_with_id() => self.attempt_ended(ended),
                changed = self.tasks.changed(), if tasks_change => tasks_change = changed.is_ok(),
                Some(update) = updates.next() => {
                    self.apply(update);
                    while let Some(Some(more)) = updates.next().now_or_never() {
                        self.apply(more);
                    }
                }
                () = sleep(pause) => {}
            }
        }
    }

    fn apply(&mut self, update: QueueUpdate) {
        match update {
            QueueUpdate::All(all) => self.queue.replace_all(all, BootTime::now()),
            QueueUpdate::Changes(changes) => self.queue.apply(changes, BootTime::now()),
        }
    }

    /// Follows the host's session, and interrupts the attempts of one that has ended.
    fn follow_session(&mut self) {
        let now = *self.worker.session.borrow_and_update();
        if self.session.as_ref().map(|session| session.lease) == now {
            return;
        }
        if let Some(over) = self.session.take() {
            over.live.cancel();
        }
        let live = CancellationToken::new();
        self.session = now.map(|lease| ClaimSession { lease, is_gone: false, live });
    }

    fn start_ready_calls(&mut self) {
        let Some(session) = self.session.as_ref().filter(|session| !session.is_gone) else {
            return;
        };
        let hosts = self.worker.roster.borrow().as_ref().map_or(1, |roster| roster.members.len());
        let (lease, live, now) = (session.lease, session.live.clone(), BootTime::now());
        let tasks = self.tasks.borrow_and_update().clone();
        for (task, settings) in &*tasks {
            let slots = self.free_slots(task, settings);
            for queued in self.queue.pick(task, slots, hosts, now, &mut self.random) {
                self.start_attempt(queued, settings.keep_answer, lease, live.clone());
            }
        }
    }

    /// How many more queued calls of a task may be started.
    fn free_slots(&self, task: &Arc<str>, settings: &CallQueueSettings) -> usize {
        settings
            .max_concurrent
            .saturating_sub(self.busy_slots.get(task).copied().unwrap_or_default())
    }

    fn start_attempt(
        &mut self,
        queued: WaitingCall,
        keep: Duration,
        lease: LeaseId,
        session: CancellationToken,
    ) {
        let attempt = QueuedCallAttempt {
            call_queue: self.worker.call_queue.clone(),
            runner: self.worker.runner.clone(),
            claimer: CallClaimer {
                lease,
                host: self.worker.host.clone(),
                ticket: self.random.u64(..),
            },
            queued: queued.clone(),
            keep_answer: keep,
            retry: self.worker.retry,
            dead_letter_log: Arc::clone(
                self.dead_letter_logs.entry(Arc::clone(&queued.key.task)).or_default(),
            ),
            session,
            release: self.release.clone(),
        };
        *self.busy_slots.entry(queued.key.task.clone()).or_default() += 1;
        let id = self.attempts.spawn(attempt.run()).id();
        self.in_progress.insert(id, queued);
    }

    fn attempt_ended(&mut self, ended: Result<(Id, AttemptEnd), JoinError>) {
        let (id, ended) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                warn!(%error, "an attempt at a queued call broke off");
                (error.id(), AttemptEnd::CallQueueChanged)
            }
        };
        let Some(WaitingCall { key, version, .. }) = self.in_progress.remove(&id) else { return };
        self.free_slot(&key);
        self.queue.attempt_ended(&key, (ended == AttemptEnd::CallQueueChanged).then_some(version));
        // Unless there is a new session already.
        if let AttemptEnd::SessionGone(lease) = ended
            && let Some(session) = self.session.as_mut().filter(|session| session.lease == lease)
        {
            session.is_gone = true;
        }
    }

    fn free_slot(&mut self, key: &QueuedCallKey) {
        if let Some(busy) = self.busy_slots.get_mut(&key.task) {
            *busy -= 1;
            if *busy == 0 {
                self.busy_slots.remove(&key.task);
            }
        }
    }

    /// The time until a waiting queued call is due that has a free slot.
    fn until_next_due(&self) -> Duration {
        if self.session.as_ref().is_none_or(|session| session.is_gone) {
            return Duration::MAX;
        }
        let tasks = self.tasks.borrow().clone();
        let free = tasks.iter().filter(|(task, settings)| self.free_slots(task, settings) > 0);
        self.queue.next_due(free.map(|(task, _)| task)).since(BootTime::now())
    }

    async fn shut_down(&mut self, drain: Duration) {
        // After the drain, and again after the time for giving back, it goes on regardless.
        let _ = timeout(drain, self.join()).await;
        self.release.cancel();
        let _ = timeout(RELEASE_MAX, self.join()).await;
        self.attempts.shutdown().await;
    }

    /// Waits for the attempts under way; they are still interrupted if the session ends.
    async fn join(&mut self) {
        let mut sessions_change = true;
        while !self.attempts.is_empty() {
            self.follow_session();
            tokio::select! {
                Some(ended) = self.attempts.join_next_with_id() => self.attempt_ended(ended),
                changed = self.worker.session.changed(), if sessions_change => sessions_change = changed.is_ok(),
            }
        }
    }
}
