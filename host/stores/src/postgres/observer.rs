//! Watches over the cluster for everybody who waits in this process: looks at it again and again,
//! and ends the leases that were not renewed.
//!
//! ```text
//!   own writes ───────┐
//!   notifications ────┼──► look ──► tell those who wait ──► end leases that are over
//!   timer ────────────┘     ▲                                        │
//!                           └────────────────────────────────────────┘
//! ```
//!
//! A look is one short statement. Notifications only make it come sooner; nothing depends on them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::join;
use tokio::{
    select,
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    fault::PostgresFault,
    last_look::{FailedLook, LastLook, SeenCluster},
    listener,
    look::{Look, RosterMark},
    observer_state::ObserverState,
    pool::PostgresPool,
    roster_writes,
    transaction::PostgresTransaction,
};
use crate::{
    Roster,
    observed_leases::{ObservedLease, ObservedLeases},
};
use soloist_heart::clock::BootTime;
use soloist_telemetry::log_throttle::LogThrottle;

/// How much of the smallest TTL passes between two looks. With the 2 % by which a lease is observed
/// longer than its TTL, a crash is noticed within 1.04 TTL.
const LOOKS_PER_TTL: u32 = 50;
/// The shortest and the longest time between two looks that nothing has called for.
const SHORTEST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_millis(100);
/// The longest time without notifications: then a look is all that tells of a change.
const LONGEST_UNNOTIFIED: Duration = Duration::from_millis(50);
/// How many looks in a row must fail before those who wait are told.
const FAILURES_TOLD: u32 = 2;
/// How often the whole roster is read although its mark is the same: people may have changed members
/// and notes by hand.
const WHOLE_EVERY: Duration = Duration::from_secs(1);

/// The observer of one store. It works from the first time that somebody needs it until this is
/// dropped.
pub(super) struct Observer {
    state: Arc<ObserverState>,
    started: AtomicBool,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Observer {
    /// An observer over the connections of `pool`.
    pub(super) fn new(pool: Arc<PostgresPool>) -> Self {
        let state = Arc::new(ObserverState::new(pool));
        let stop = CancellationToken::new();
        let _stop_on_drop = stop.clone().drop_guard();
        Self { state, started: AtomicBool::new(false), stop, _stop_on_drop }
    }

    /// Begins, if that was not done yet.
    pub(super) fn start(&self) {
        if self.started.swap(true, Ordering::Relaxed) {
            return;
        }
        let (stop, state) = (self.stop.clone(), Arc::clone(&self.state));
        let both = async move { join!(observe(Arc::clone(&state)), listener::listen(state)) };
        let task = async move {
            let _ = stop.run_until_cancelled(both).await;
        };
        drop(self.state.pool().runtime().spawn(task));
    }

    /// Has it look at once.
    pub(super) fn wake(&self) {
        self.state.wake();
    }

    /// What is seen from now on.
    pub(super) fn subscribe(&self) -> watch::Receiver<LastLook> {
        self.start();
        self.state.last.subscribe()
    }
}

/// The observer's task.
struct ObserverTask {
    state: Arc<ObserverState>,
    leases: ObservedLeases,
    roster: Option<Roster>,
    mark: Option<RosterMark>,
    /// When the whole roster was read last.
    whole: Instant,
    /// The time between two looks.
    period: Duration,
    /// How many looks in a row have failed.
    failures: u32,
    trouble: LogThrottle,
}

async fn observe(state: Arc<ObserverState>) {
    let mut task = ObserverTask {
        state,
        leases: ObservedLeases::default(),
        roster: None,
        mark: None,
        whole: Instant::now(),
        period: LONGEST,
        failures: 0,
        trouble: LogThrottle::default(),
    };
    loop {
        let began = Instant::now();
        let ended = task.look_and_end(began).await;
        // As long as it has worked, so that a burst of notifications leaves time for the rest.
        let rest = Instant::now() + began.elapsed();
        if !ended {
            select! {
                () = task.state.wake.notified() => {}
                () = sleep_until(task.next_look()) => {}
            }
            sleep_until(rest.min(began + task.period)).await;
        }
    }
}

impl ObserverTask {
    /// Looks once, and ends what is over. Returns whether anything was.
    async fn look_and_end(&mut self, began: Instant) -> bool {
        let looked = self.look(began).await;
        let over = self.leases.over(BootTime::now());
        let ended = match looked {
            Ok(()) => self.end(&over).await,
            Err(fault) => Err(fault),
        };
        match ended {
            Ok(ended) => {
                self.failures = 0;
                self.trouble.recovered(|repeats| {
                    tracing::info!("the store is well again{repeats}");
                });
                ended
            }
            Err(fault) => {
                self.fail(fault);
                false
            }
        }
    }

    async fn look(&mut self, began: Instant) -> Result<(), PostgresFault> {
        let whole = began.duration_since(self.whole) >= WHOLE_EVERY;
        let look = Look::take(self.state.pool(), self.mark.filter(|_| !whole)).await?;
        // Only now it is known here.
        self.leases.observe(&look.leases, BootTime::now());
        self.period = self.period_for(&look.leases);
        let leases = look.lease_ids();
        let roster = match (look.roster, self.roster.take()) {
            (Some(roster), before) => {
                self.whole = began;
                // What has not changed is shared with those who have seen it.
                before.filter(|before| *before == roster).unwrap_or(roster)
            }
            (None, Some(before)) => before,
            (None, None) => Roster { revision: look.revision, ..Roster::default() },
        };
        (self.roster, self.mark) = (Some(roster.clone()), Some(look.mark));
        let queue_revision = look.queue_revision;
        let seen = SeenCluster { roster, leases, queue_revision, began };
        self.state.last.send_replace(LastLook::Seen(seen.into()));
        Ok(())
    }

    /// Ends leases that are over, if they still are as they were seen.
    async fn end(&self, over: &[ObservedLease]) -> Result<bool, PostgresFault> {
        for lease in over {
            let pool = self.state.pool();
            let until = Instant::now() + pool.source().request_timeout;
            let tx = PostgresTransaction::begin(pool, until).await?;
            if roster_writes::end_unrenewed(tx, lease.lease, lease.counter).await? {
                tracing::debug!(lease = %lease.lease, "a session was not renewed and is over");
            }
        }
        Ok(!over.is_empty())
    }

    fn fail(&mut self, fault: PostgresFault) {
        let failed = FailedLook::new(fault, &self.state.pool().source().label);
        self.failures += 1;
        // One answer may be late or lost; the next look comes at once.
        if self.failures < FAILURES_TOLD && !failed.is_refusal() {
            return;
        }
        self.trouble.report_text(failed.text(), |repeats| {
            tracing::debug!(error = failed.text(), "cannot look at the store{repeats}");
        });
        self.state.last.send_replace(LastLook::Failed(failed.into()));
    }

    fn period_for(&self, leases: &[ObservedLease]) -> Duration {
        let notified = self.state.is_notified();
        let longest = if notified { LONGEST } else { LONGEST_UNNOTIFIED };
        let shortest_ttl = leases.iter().map(|lease| lease.ttl).min();
        shortest_ttl.map_or(longest, |ttl| (ttl / LOOKS_PER_TTL).clamp(SHORTEST, longest))
    }

    fn next_look(&self) -> Instant {
        let end = self.leases.first_end().since(BootTime::now());
        Instant::now() + self.period.min(end)
    }
}
