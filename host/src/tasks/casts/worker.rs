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
    Perform, TaskTerms, Terms,
    attempt::{Attempt, Ended},
    news::{News, news},
    queue::Queue,
};
use soloist_heart::{LeaseId, clock::BootTime};
use soloist_stores::{CastKey, Casts, Claimer, Queued, Roster};
use soloist_telemetry::repeats::Repeats;

/// How long giving back may take at a stop; what is not given back by then is
/// free when the session ends.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// Does casts on this host.
pub struct Worker {
    /// Where they are.
    pub casts: Arc<dyn Casts>,
    /// What does the work.
    pub perform: Arc<dyn Perform>,
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

impl Worker {
    /// Works until `ending`. What is under way then may go on for `drain`; the
    /// rest is given back at once, so that others need not wait for it.
    ///
    /// To be awaited before the session is ended.
    pub async fn run(self, ending: CancellationToken, drain: Duration) {
        let mut shift = Shift::new(self);
        shift.work(&ending).await;
        shift.wind_up(drain).await;
    }
}

/// A worker at work.
struct Shift {
    worker: Worker,
    tasks: watch::Receiver<Terms>,
    queue: Queue,
    session: Option<Session>,
    attempts: JoinSet<Ended>,
    /// What each of the attempts is at.
    under_way: HashMap<Id, Queued>,
    /// How many of each task.
    busy: BTreeMap<Arc<str>, usize>,
    /// What is said of the dead letters of each.
    dead: HashMap<Arc<str>, Arc<Repeats>>,
    give_back: CancellationToken,
    random: fastrand::Rng,
}

/// A session that claims are made under.
struct Session {
    lease: LeaseId,
    /// Whether the store has said that there is none; the host will hear of it.
    is_gone: bool,
    live: CancellationToken,
}

impl Shift {
    fn new(worker: Worker) -> Self {
        let tasks = worker.perform.tasks();
        Self {
            worker,
            tasks,
            queue: Queue::default(),
            session: None,
            attempts: JoinSet::new(),
            under_way: HashMap::new(),
            busy: BTreeMap::new(),
            dead: HashMap::new(),
            give_back: CancellationToken::new(),
            random: fastrand::Rng::new(),
        }
    }

    async fn work(&mut self, ending: &CancellationToken) {
        let mut heard = news(self.worker.casts.clone(), self.worker.retry);
        let mut tasks_change = true;
        loop {
            self.look_at_session();
            self.begin_what_is_ready();
            let pause = self.pause();
            tokio::select! {
                // What ends comes before what begins.
                biased;
                () = ending.cancelled() => return,
                changed = self.worker.session.changed() => if changed.is_err() { return },
                Some(ended) = self.attempts.join_next_with_id() => self.ended(ended),
                changed = self.tasks.changed(), if tasks_change => tasks_change = changed.is_ok(),
                Some(news) = heard.next() => {
                    self.take_in(news);
                    while let Some(Some(more)) = heard.next().now_or_never() {
                        self.take_in(more);
                    }
                }
                () = sleep(pause) => {}
            }
        }
    }

    fn take_in(&mut self, news: News) {
        match news {
            News::All(all) => self.queue.take_in_all(all, BootTime::now()),
            News::Some(changes) => self.queue.take_in(changes, BootTime::now()),
        }
    }

    /// Interrupts what was claimed under a session that is over.
    fn look_at_session(&mut self) {
        let now = *self.worker.session.borrow_and_update();
        if self.session.as_ref().map(|session| session.lease) == now {
            return;
        }
        if let Some(over) = self.session.take() {
            over.live.cancel();
        }
        let live = CancellationToken::new();
        self.session = now.map(|lease| Session { lease, is_gone: false, live });
    }

    fn begin_what_is_ready(&mut self) {
        let Some(session) = self.session.as_ref().filter(|session| !session.is_gone) else {
            return;
        };
        let hosts = self.worker.roster.borrow().as_ref().map_or(1, |roster| roster.members.len());
        let (lease, live, now) = (session.lease, session.live.clone(), BootTime::now());
        let tasks = self.tasks.borrow_and_update().clone();
        for (task, terms) in &*tasks {
            let places = self.places(task, terms);
            for seen in self.queue.pick(task, places, hosts, now, &mut self.random) {
                self.begin(seen, terms.keep, lease, live.clone());
            }
        }
    }

    /// How many more casts of a task may be begun.
    fn places(&self, task: &Arc<str>, terms: &TaskTerms) -> usize {
        terms.places.saturating_sub(self.busy.get(task).copied().unwrap_or_default())
    }

    fn begin(&mut self, seen: Queued, keep: Duration, lease: LeaseId, session: CancellationToken) {
        let attempt = Attempt {
            casts: self.worker.casts.clone(),
            perform: self.worker.perform.clone(),
            by: Claimer { lease, host: self.worker.host.clone(), ticket: self.random.u64(..) },
            seen: seen.clone(),
            keep,
            retry: self.worker.retry,
            dead: Arc::clone(self.dead.entry(Arc::clone(&seen.key.task)).or_default()),
            session,
            give_back: self.give_back.clone(),
        };
        *self.busy.entry(seen.key.task.clone()).or_default() += 1;
        let id = self.attempts.spawn(attempt.make()).id();
        self.under_way.insert(id, seen);
    }

    fn ended(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let (id, ended) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                warn!(%error, "an attempt at a cast broke off");
                (error.id(), Ended::Known)
            }
        };
        let Some(Queued { key, version, .. }) = self.under_way.remove(&id) else { return };
        self.give_place_back(&key);
        self.queue.ended(&key, (ended == Ended::Known).then_some(version));
        // There may be another session already.
        if let Ended::NoSession(lease) = ended
            && let Some(session) = self.session.as_mut().filter(|session| session.lease == lease)
        {
            session.is_gone = true;
        }
    }

    fn give_place_back(&mut self, key: &CastKey) {
        if let Some(busy) = self.busy.get_mut(&key.task) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(&key.task);
            }
        }
    }

    /// Until a cast is due that there is a place for.
    fn pause(&self) -> Duration {
        if self.session.as_ref().is_none_or(|session| session.is_gone) {
            return Duration::MAX;
        }
        let tasks = self.tasks.borrow().clone();
        let free = tasks.iter().filter(|(task, terms)| self.places(task, terms) > 0);
        self.queue.wake(free.map(|(task, _)| task)).since(BootTime::now())
    }

    async fn wind_up(&mut self, drain: Duration) {
        // Nothing is left to do for whom it takes longer.
        let _ = timeout(drain, self.join()).await;
        self.give_back.cancel();
        let _ = timeout(GIVING_BACK, self.join()).await;
        self.attempts.shutdown().await;
    }

    /// Joins what is under way, under the eyes of the session.
    async fn join(&mut self) {
        let mut sessions_change = true;
        while !self.attempts.is_empty() {
            self.look_at_session();
            tokio::select! {
                Some(ended) = self.attempts.join_next_with_id() => self.ended(ended),
                changed = self.worker.session.changed(), if sessions_change => sessions_change = changed.is_ok(),
            }
        }
    }
}
