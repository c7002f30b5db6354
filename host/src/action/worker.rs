//! What is known of an instance that answers several requests at once, and the
//! tickets of those requests.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{asked::Asked, fate::Fate, refusal::Refusal, request::Turn};

/// One instance, seen from outside of its task.
pub(super) struct Worker {
    load: Mutex<Load>,
    /// Whether the guest has nothing to do, as was seen last.
    resting: AtomicBool,
    /// Whether the instance came to a bad end, for all of its responses.
    pub(super) fate: Fate,
    /// It takes nothing more, and nobody waits for it.
    pub(super) over: CancellationToken,
    /// Some client has gone, and no other waits: it is to end at once.
    pub(super) cut: CancellationToken,
    /// Its task has ended; if that was for a reason of its own, the next one says so.
    pub(super) ended: CancellationToken,
    pub(super) reason: OnceLock<Refusal>,
}

struct Load {
    /// The requests that are answered now.
    begun: Vec<Request>,
    /// How many requests it may still take, which is the number of the latest.
    left: usize,
    /// Since when there was none.
    quiet: Instant,
    abandoned: bool,
}

/// A request that is answered.
struct Request {
    number: usize,
    since: Instant,
    /// What it is, once that is known.
    asked: Option<Asked>,
}

impl Request {
    fn now(number: usize) -> Self {
        Self { number, since: Instant::now(), asked: None }
    }
}

impl Worker {
    /// An instance that takes `max` requests, and the ticket of the first.
    pub(super) fn new(max: usize) -> (Arc<Self>, Ticket) {
        let now = Instant::now();
        let left = max.saturating_sub(1);
        let load = Load { begun: vec![Request::now(left)], left, quiet: now, abandoned: false };
        let worker = Arc::new(Self {
            load: Mutex::new(load),
            resting: AtomicBool::new(false),
            fate: Fate::default(),
            over: CancellationToken::new(),
            cut: CancellationToken::new(),
            ended: CancellationToken::new(),
            reason: OnceLock::new(),
        });
        let ticket = Ticket::new(&worker, left);
        (worker, ticket)
    }

    /// A ticket for one more request, unless it takes no more.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Ticket> {
        let mut load = self.load();
        load.left = load.left.checked_sub(1)?;
        let number = load.left;
        load.begun.push(Request::now(number));
        Some(Ticket::new(self, number))
    }

    /// How many requests it answers now, if it may take more.
    pub(super) fn busy(&self) -> Option<usize> {
        let load = self.load();
        (load.left > 0).then_some(load.begun.len())
    }

    /// It takes no more requests.
    pub(super) fn close(&self) {
        self.end_if_unwanted(&mut self.load());
    }

    fn end_if_unwanted(&self, load: &mut Load) {
        load.left = 0;
        if load.begun.is_empty() {
            self.over.cancel();
        }
    }

    /// Whether the guest has anything to do is seen by whoever drives it. One that computes
    /// is not looked at, and so is not seen to rest.
    pub(super) fn rests(&self, resting: bool) {
        self.resting.store(resting, Ordering::Release);
    }

    /// It takes no more requests if there was none for so long. Returns whether one
    /// of those that it has, or what it does after them, takes longer than `limit`: one that
    /// has nothing to do takes no time for that.
    pub(super) fn look(&self, idle: Duration, limit: Duration) -> bool {
        let mut load = self.load();
        match load.begun.iter().map(|request| request.since).min() {
            Some(began) => began.elapsed() >= limit,
            None => {
                let quiet = load.quiet.elapsed();
                if quiet >= idle {
                    self.end_if_unwanted(&mut load);
                }
                quiet >= limit && !self.resting.load(Ordering::Acquire)
            }
        }
    }

    /// What it is at, for who reads the log: nobody can tell which of them is to blame.
    pub(super) fn asked(&self) -> String {
        let load = self.load();
        let asked = load.begun.iter().filter_map(|request| request.asked.as_ref());
        let all: Vec<_> = asked.map(Asked::to_string).collect();
        if all.is_empty() { "after its requests".to_owned() } else { all.join(", ") }
    }

    fn end(&self, number: usize, finished: bool) {
        let mut load = self.load();
        load.begun.retain(|request| request.number != number);
        load.abandoned |= !finished;
        if load.begun.is_empty() {
            load.quiet = Instant::now();
        }
        if load.abandoned || load.left == 0 {
            self.end_if_unwanted(&mut load);
        }
        if load.abandoned && load.begun.is_empty() {
            self.cut.cancel();
        }
    }

    fn load(&self) -> MutexGuard<'_, Load> {
        self.load.lock()
    }
}

/// One request of an instance, from before it is handed over until its response
/// has left. Dropping it tells that nobody waits for the response any more.
pub(super) struct Ticket {
    worker: Arc<Worker>,
    number: usize,
    finished: bool,
    turn: Option<Turn>,
}

impl Ticket {
    fn new(worker: &Arc<Worker>, number: usize) -> Self {
        Self { worker: worker.clone(), number, finished: false, turn: None }
    }

    /// Gives the request's turn back when the ticket is.
    pub(super) fn with(mut self, turn: Turn) -> Self {
        self.turn = Some(turn);
        self
    }

    /// Says what it is for.
    pub(super) fn asks(&self, asked: Asked) {
        let mut load = self.worker.load();
        let own = load.begun.iter_mut().find(|request| request.number == self.number);
        if let Some(own) = own {
            own.asked = Some(asked);
        }
    }

    /// Everything was said. The instance runs on.
    pub(super) fn finish(mut self) {
        self.finished = true;
    }

    /// Why the instance ended, once it has; nothing if the term has ended it.
    pub(super) async fn reason(&self) -> Option<Refusal> {
        self.worker.ended.cancelled().await;
        self.worker.reason.get().cloned()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.worker.end(self.number, self.finished);
        drop(self.turn.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn takes_as_many_as_it_may_and_is_over_after_the_last() {
        let (worker, one) = Worker::new(2);
        assert_eq!(worker.busy(), Some(1));
        let two = worker.admit().unwrap();
        assert!(worker.busy().is_none() && worker.admit().is_none());
        one.finish();
        assert!(!worker.over.is_cancelled());
        two.finish();
        assert!(worker.over.is_cancelled() && !worker.cut.is_cancelled());
    }

    #[test]
    fn one_that_was_abandoned_takes_no_more_and_is_cut_after_the_last() {
        let (worker, one) = Worker::new(9);
        let two = worker.admit().unwrap();
        drop(one);
        assert!(worker.admit().is_none() && !worker.cut.is_cancelled());
        two.finish();
        assert!(worker.cut.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn the_idle_is_over_and_the_slow_is_told() {
        let (worker, ticket) = Worker::new(9);
        tokio::time::advance(HOUR).await;
        assert!(!worker.look(HOUR / 2, HOUR * 2) && worker.busy() == Some(1));
        assert!(worker.look(HOUR / 2, HOUR), "a request takes too long");
        ticket.finish();
        assert!(!worker.look(HOUR, HOUR) && !worker.over.is_cancelled());
        tokio::time::advance(HOUR).await;
        assert!(worker.look(HOUR * 2, HOUR), "what comes after takes too long");
        worker.rests(true);
        assert!(!worker.look(HOUR * 2, HOUR) && !worker.over.is_cancelled(), "it does nothing");
        assert!(!worker.look(HOUR, HOUR) && worker.over.is_cancelled());
    }
}
