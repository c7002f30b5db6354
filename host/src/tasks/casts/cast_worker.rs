//! The worker: what this host does of the casts.

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
    CastRunner, CastSettings, CastSettingsByTask,
    cast_attempt::{AttemptEnd, CastAttempt},
    queue::CastQueue,
    queue_updates::{QueueUpdate, queue_updates},
};
use soloist_heart::{LeaseId, clock::BootTime};
use soloist_stores::{CastClaimer, CastKey, CastStore, QueuedCast, Roster};
use soloist_telemetry::log_throttle::LogThrottle;

/// How long giving back may take at a stop; what is not given back by then is
/// free when the session ends.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// Does casts on this host.
pub struct CastWorker {
    /// Where they are.
    pub casts: Arc<dyn CastStore>,
    /// What does the work.
    pub runner: Arc<dyn CastRunner>,
    /// This host.
    pub host: Arc<str>,
    /// The lease of the host's session, which casts are claimed under, as long as
    /// the host may rely on it. Its end is the worker's.
    pub session: watch::Receiver<Option<LeaseId>>,
    /// The hosts that there are.
    pub roster: watch::Receiver<Option<Roster>>,
    /// From a call to the store that failed to the next.
    pub retry: Duration,
}

impl CastWorker {
    /// Works until `ending`. What is under way then may go on for `drain`; the
    /// rest is given back at once, so that others need not wait for it.
    ///
    /// To be awaited before the session is ended.
    pub async fn run(self, ending: CancellationToken, drain: Duration) {
        let mut shift = CastWorkerLoop::new(self);
        shift.work(&ending).await;
        shift.shut_down(drain).await;
    }
}

/// A worker at work.
struct CastWorkerLoop {
    worker: CastWorker,
    tasks: watch::Receiver<CastSettingsByTask>,
    queue: CastQueue,
    session: Option<ClaimSession>,
    attempts: JoinSet<AttemptEnd>,
    /// What each of the attempts is at.
    in_progress: HashMap<Id, QueuedCast>,
    /// How many of each task.
    busy_slots: BTreeMap<Arc<str>, usize>,
    /// What is said of the dead letters of each.
    dead_letter_logs: HashMap<Arc<str>, Arc<LogThrottle>>,
    release: CancellationToken,
    random: fastrand::Rng,
}

/// A session that claims are made under.
struct ClaimSession {
    lease: LeaseId,
    /// Whether the store has said that there is none; the host will hear of it.
    is_gone: bool,
    live: CancellationToken,
}

impl CastWorkerLoop {
    fn new(worker: CastWorker) -> Self {
        let tasks = worker.runner.tasks();
        Self {
            worker,
            tasks,
            queue: CastQueue::default(),
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
        let mut heard = queue_updates(self.worker.casts.clone(), self.worker.retry);
        let mut tasks_change = true;
        loop {
            self.follow_session();
            self.start_ready_casts();
            let pause = self.until_next_due();
            tokio::select! {
                // What ends comes before what begins.
                biased;
                () = ending.cancelled() => return,
                changed = self.worker.session.changed() => if changed.is_err() { return },
                Some(ended) = self.attempts.join_next_with_id() => self.attempt_ended(ended),
                changed = self.tasks.changed(), if tasks_change => tasks_change = changed.is_ok(),
                Some(news) = heard.next() => {
                    self.apply(news);
                    while let Some(Some(more)) = heard.next().now_or_never() {
                        self.apply(more);
                    }
                }
                () = sleep(pause) => {}
            }
        }
    }

    fn apply(&mut self, news: QueueUpdate) {
        match news {
            QueueUpdate::All(all) => self.queue.replace_all(all, BootTime::now()),
            QueueUpdate::Some(changes) => self.queue.apply(changes, BootTime::now()),
        }
    }

    /// Interrupts what was claimed under a session that is over.
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

    fn start_ready_casts(&mut self) {
        let Some(session) = self.session.as_ref().filter(|session| !session.is_gone) else {
            return;
        };
        let hosts = self.worker.roster.borrow().as_ref().map_or(1, |roster| roster.members.len());
        let (lease, live, now) = (session.lease, session.live.clone(), BootTime::now());
        let tasks = self.tasks.borrow_and_update().clone();
        for (task, terms) in &*tasks {
            let places = self.free_slots(task, terms);
            for seen in self.queue.pick(task, places, hosts, now, &mut self.random) {
                self.start_attempt(seen, terms.keep, lease, live.clone());
            }
        }
    }

    /// How many more casts of a task may be begun.
    fn free_slots(&self, task: &Arc<str>, terms: &CastSettings) -> usize {
        terms.max_concurrent.saturating_sub(self.busy_slots.get(task).copied().unwrap_or_default())
    }

    fn start_attempt(
        &mut self,
        seen: QueuedCast,
        keep: Duration,
        lease: LeaseId,
        session: CancellationToken,
    ) {
        let attempt = CastAttempt {
            casts: self.worker.casts.clone(),
            runner: self.worker.runner.clone(),
            claimer: CastClaimer {
                lease,
                host: self.worker.host.clone(),
                ticket: self.random.u64(..),
            },
            queued: seen.clone(),
            keep_answer: keep,
            retry: self.worker.retry,
            dead: Arc::clone(self.dead_letter_logs.entry(Arc::clone(&seen.key.task)).or_default()),
            session,
            release: self.release.clone(),
        };
        *self.busy_slots.entry(seen.key.task.clone()).or_default() += 1;
        let id = self.attempts.spawn(attempt.run()).id();
        self.in_progress.insert(id, seen);
    }

    fn attempt_ended(&mut self, ended: Result<(Id, AttemptEnd), JoinError>) {
        let (id, ended) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                warn!(%error, "an attempt at a cast broke off");
                (error.id(), AttemptEnd::CastChanged)
            }
        };
        let Some(QueuedCast { key, version, .. }) = self.in_progress.remove(&id) else { return };
        self.free_slot(&key);
        self.queue.attempt_ended(&key, (ended == AttemptEnd::CastChanged).then_some(version));
        // There may be another session already.
        if let AttemptEnd::SessionGone(lease) = ended
            && let Some(session) = self.session.as_mut().filter(|session| session.lease == lease)
        {
            session.is_gone = true;
        }
    }

    fn free_slot(&mut self, key: &CastKey) {
        if let Some(busy) = self.busy_slots.get_mut(&key.task) {
            *busy -= 1;
            if *busy == 0 {
                self.busy_slots.remove(&key.task);
            }
        }
    }

    /// Until a cast is due that there is a place for.
    fn until_next_due(&self) -> Duration {
        if self.session.as_ref().is_none_or(|session| session.is_gone) {
            return Duration::MAX;
        }
        let tasks = self.tasks.borrow().clone();
        let free = tasks.iter().filter(|(task, terms)| self.free_slots(task, terms) > 0);
        self.queue.next_due(free.map(|(task, _)| task)).since(BootTime::now())
    }

    async fn shut_down(&mut self, drain: Duration) {
        // Nothing is left to do for whom it takes longer.
        let _ = timeout(drain, self.join()).await;
        self.release.cancel();
        let _ = timeout(GIVING_BACK, self.join()).await;
        self.attempts.shutdown().await;
    }

    /// Joins what is under way, under the eyes of the session.
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
