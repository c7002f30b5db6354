//! The state of an instance that answers several requests at once, and the tickets of those
//! requests.

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

use super::{
    access_log::RequestLine, action_refusal::ActionRefusal, broken_flag::BrokenFlag,
    guest_request::RequestPermit,
};

/// One instance, as seen from outside of its task.
pub(super) struct InstanceState {
    load: Mutex<InstanceLoad>,
    /// Whether the guest had nothing to do when it was last polled.
    guest_idle: AtomicBool,
    /// Whether the instance failed, which breaks all of its responses.
    pub(super) broken: BrokenFlag,
    /// Cancelled when it takes no more requests and nobody waits for it.
    pub(super) finished: CancellationToken,
    /// Cancelled when a client is gone and no other waits: the instance must end at once.
    pub(super) abort: CancellationToken,
    /// Cancelled when its task has ended; `failure` says why, unless the term ended it.
    pub(super) ended: CancellationToken,
    pub(super) failure: OnceLock<ActionRefusal>,
}

struct InstanceLoad {
    /// The requests that are being answered.
    active: Vec<ActiveRequest>,
    /// How many more requests it may take; also the number of the latest request.
    remaining: usize,
    /// Since when it has no requests.
    idle_since: Instant,
    abandoned: bool,
}

/// A request that is being answered.
struct ActiveRequest {
    number: usize,
    since: Instant,
    /// Its method and path, once they are known.
    line: Option<RequestLine>,
}

impl ActiveRequest {
    fn now(number: usize) -> Self {
        Self { number, since: Instant::now(), line: None }
    }
}

impl InstanceState {
    /// An instance that takes `max` requests, and the ticket of the first.
    pub(super) fn new(max: usize) -> (Arc<Self>, RequestTicket) {
        let now = Instant::now();
        let left = max.saturating_sub(1);
        let load = InstanceLoad {
            active: vec![ActiveRequest::now(left)],
            remaining: left,
            idle_since: now,
            abandoned: false,
        };
        let worker = Arc::new(Self {
            load: Mutex::new(load),
            guest_idle: AtomicBool::new(false),
            broken: BrokenFlag::default(),
            finished: CancellationToken::new(),
            abort: CancellationToken::new(),
            ended: CancellationToken::new(),
            failure: OnceLock::new(),
        });
        let ticket = RequestTicket::new(&worker, left);
        (worker, ticket)
    }

    /// A ticket for one more request, unless the instance takes no more.
    pub(super) fn admit(self: &Arc<Self>) -> Option<RequestTicket> {
        let mut load = self.load();
        load.remaining = load.remaining.checked_sub(1)?;
        let number = load.remaining;
        load.active.push(ActiveRequest::now(number));
        Some(RequestTicket::new(self, number))
    }

    /// How many requests it is answering; `None` if it takes no more.
    pub(super) fn active_requests(&self) -> Option<usize> {
        let load = self.load();
        (load.remaining > 0).then_some(load.active.len())
    }

    /// Lets it take no more requests.
    pub(super) fn close(&self) {
        self.finish_if_unused(&mut self.load());
    }

    fn finish_if_unused(&self, load: &mut InstanceLoad) {
        load.remaining = 0;
        if load.active.is_empty() {
            self.finished.cancel();
        }
    }

    /// Notes whether the guest has nothing to do. A guest that computes is not polled, so it is not
    /// seen as idle.
    pub(super) fn set_guest_idle(&self, idle: bool) {
        self.guest_idle.store(idle, Ordering::Release);
    }

    /// Takes no more requests if there was none for `idle`. Returns whether a request, or the work
    /// after the last one, takes longer than `limit`; an idle guest never does.
    pub(super) fn check_limits(&self, idle: Duration, limit: Duration) -> bool {
        let mut load = self.load();
        match load.active.iter().map(|request| request.since).min() {
            Some(began) => began.elapsed() >= limit,
            None => {
                let quiet = load.idle_since.elapsed();
                if quiet >= idle {
                    self.finish_if_unused(&mut load);
                }
                quiet >= limit && !self.guest_idle.load(Ordering::Acquire)
            }
        }
    }

    /// Its requests, for the log: nobody can tell which of them is to blame.
    pub(super) fn describe_requests(&self) -> String {
        let load = self.load();
        let line = load.active.iter().filter_map(|request| request.line.as_ref());
        let all: Vec<_> = line.map(RequestLine::to_string).collect();
        if all.is_empty() { "after its requests".to_owned() } else { all.join(", ") }
    }

    fn end_request(&self, number: usize, finished: bool) {
        let mut load = self.load();
        load.active.retain(|request| request.number != number);
        load.abandoned |= !finished;
        if load.active.is_empty() {
            load.idle_since = Instant::now();
        }
        if load.abandoned || load.remaining == 0 {
            self.finish_if_unused(&mut load);
        }
        if load.abandoned && load.active.is_empty() {
            self.abort.cancel();
        }
    }

    fn load(&self) -> MutexGuard<'_, InstanceLoad> {
        self.load.lock()
    }
}

/// One request of an instance, from before it is handed over until its response has been sent.
/// Dropping it means that nobody waits for the response any more.
pub(super) struct RequestTicket {
    instance: Arc<InstanceState>,
    number: usize,
    finished: bool,
    permit: Option<RequestPermit>,
}

impl RequestTicket {
    fn new(worker: &Arc<InstanceState>, number: usize) -> Self {
        Self { instance: worker.clone(), number, finished: false, permit: None }
    }

    /// Releases the request's permit together with the ticket.
    pub(super) fn with_permit(mut self, permit: RequestPermit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// Sets the request that the ticket is for.
    pub(super) fn set_request_line(&self, line: RequestLine) {
        let mut load = self.instance.load();
        let own = load.active.iter_mut().find(|request| request.number == self.number);
        if let Some(own) = own {
            own.line = Some(line);
        }
    }

    /// The response was sent in full. The instance runs on.
    pub(super) fn finish(mut self) {
        self.finished = true;
    }

    /// Why the instance ended, once it has; `None` if the term ended it.
    pub(super) async fn failure(&self) -> Option<ActionRefusal> {
        self.instance.ended.cancelled().await;
        self.instance.failure.get().cloned()
    }
}

impl Drop for RequestTicket {
    fn drop(&mut self) {
        self.instance.end_request(self.number, self.finished);
        drop(self.permit.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn takes_as_many_as_it_may_and_is_over_after_the_last() {
        let (worker, one) = InstanceState::new(2);
        assert_eq!(worker.active_requests(), Some(1));
        let two = worker.admit().unwrap();
        assert!(worker.active_requests().is_none() && worker.admit().is_none());
        one.finish();
        assert!(!worker.finished.is_cancelled());
        two.finish();
        assert!(worker.finished.is_cancelled() && !worker.abort.is_cancelled());
    }

    #[test]
    fn one_that_was_abandoned_takes_no_more_and_is_cut_after_the_last() {
        let (worker, one) = InstanceState::new(9);
        let two = worker.admit().unwrap();
        drop(one);
        assert!(worker.admit().is_none() && !worker.abort.is_cancelled());
        two.finish();
        assert!(worker.abort.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn the_idle_is_over_and_the_slow_is_told() {
        let (worker, ticket) = InstanceState::new(9);
        tokio::time::advance(HOUR).await;
        assert!(!worker.check_limits(HOUR / 2, HOUR * 2) && worker.active_requests() == Some(1));
        assert!(worker.check_limits(HOUR / 2, HOUR), "a request takes too long");
        ticket.finish();
        assert!(!worker.check_limits(HOUR, HOUR) && !worker.finished.is_cancelled());
        tokio::time::advance(HOUR).await;
        assert!(worker.check_limits(HOUR * 2, HOUR), "what comes after takes too long");
        worker.set_guest_idle(true);
        assert!(
            !worker.check_limits(HOUR * 2, HOUR) && !worker.finished.is_cancelled(),
            "it does nothing"
        );
        assert!(!worker.check_limits(HOUR, HOUR) && worker.finished.is_cancelled());
    }
}
