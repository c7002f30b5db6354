//! Campaigning, and withdrawing the candidate when the caller leaves.
//!
//! Invariant: a campaign holds the *lock* of its lease and group, and after it its withdrawal does,
//! until the candidate is gone. The next campaign of that lease waits for the lock. So a late
//! withdrawal can never remove the next campaign's candidate, perhaps while that one leads.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use futures::FutureExt;
use tokio::{
    sync::{OwnedMutexGuard, oneshot, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    calls::{PostgresCalls, PostgresWork},
    fault::PostgresFault,
    last_look::{LastLook, SeenCluster},
    look::leader_key,
    observer::Observer,
    roster_writes,
};
use crate::StoreError;
use soloist_heart::{FencingToken, Group, LeaderKey, LeaseId};
use soloist_telemetry::log_throttle::LogThrottle;

/// The attempted action, for error texts.
const CAMPAIGN: &str = "campaign";

/// Withdrawals that were refused: a store that refuses one refuses every retry too.
static REFUSED_WITHDRAWALS: LazyLock<LogThrottle> = LazyLock::new(LogThrottle::default);

/// What a candidate enters the queue with.
#[derive(Clone)]
pub(super) struct PostgresCandidacy {
    pub(super) group: Group,
    pub(super) lease: LeaseId,
    pub(super) value: String,
}

/// What a campaign works with.
#[derive(Clone)]
pub(super) struct CampaignTools {
    pub(super) calls: PostgresCalls,
    pub(super) observer: Arc<Observer>,
    /// Ends withdrawals.
    pub(super) stop: CancellationToken,
}

/// A campaign to begin.
pub(super) struct PostgresCampaign {
    pub(super) tools: CampaignTools,
    pub(super) candidacy: PostgresCandidacy,
    /// The lock of the lease and group.
    pub(super) lock: OwnedMutexGuard<()>,
}

/// A candidate that may be in the queue. It is withdrawn when this is dropped, unless it was kept.
struct StandingCandidate {
    tools: CampaignTools,
    candidacy: PostgresCandidacy,
    /// Held as long as a candidate may exist that nobody waits for.
    lock: Option<OwnedMutexGuard<()>>,
    /// Whether a request to enter the queue may still be on its way.
    on_its_way: bool,
}

impl PostgresCampaign {
    /// Waits until the campaign is won.
    ///
    /// The work is done by a task: what was sent to the server is waited for even if the caller has
    /// left, so that what withdraws the candidate comes after it.
    pub(super) async fn win(self) -> Result<LeaderKey, StoreError> {
        let (reply, answer) = oneshot::channel();
        let calls = self.tools.calls.clone();
        drop(calls.pool().runtime().spawn(self.run(reply)));
        // A task that ends without an answer was on a runtime that has ended.
        let closed = |_| calls.error(CAMPAIGN, PostgresFault::Closed);
        let (key, candidate) = answer.await.map_err(closed)??;
        candidate.keep();
        Ok(key)
    }

    async fn run(
        self,
        mut reply: oneshot::Sender<Result<(LeaderKey, StandingCandidate), StoreError>>,
    ) {
        let Self { tools, candidacy, lock } = self;
        let seen = tools.observer.subscribe();
        let mut candidate =
            StandingCandidate { tools, candidacy, lock: Some(lock), on_its_way: true };
        if reply.is_closed() {
            return candidate.keep();
        }
        let outcome = async {
            let token = candidate.stand().await?;
            tokio::select! {
                // The caller has left.
                () = reply.closed() => Err(StoreError::NotLeader),
                won = candidate.wait(token, seen) => won,
            }
        };
        match outcome.await {
            // If the caller leaves in this moment, the candidate comes back and is withdrawn.
            Ok(key) => drop(reply.send(Ok((key, candidate)))),
            Err(error) => {
                if matches!(error, StoreError::LeaseGone) {
                    candidate.keep();
                }
                drop(reply.send(Err(error)));
            }
        }
    }
}

impl StandingCandidate {
    /// Enters the queue.
    async fn stand(&mut self) -> Result<FencingToken, StoreError> {
        let stand: PostgresWork<_, _> = |tx, PostgresCandidacy { group, lease, value }| {
            roster_writes::stand(tx, group, *lease, value).boxed()
        };
        let stood = self.tools.calls.call(CAMPAIGN, self.candidacy.clone(), stand).await;
        self.on_its_way = stood.as_ref().is_err_and(StoreError::is_transient);
        self.tools.observer.wake();
        stood
    }

    /// Waits until the candidate is the first. A look that fails does not end the wait.
    async fn wait(
        &self,
        token: FencingToken,
        mut seen: watch::Receiver<LastLook>,
    ) -> Result<LeaderKey, StoreError> {
        let stood = Instant::now();
        let fault = loop {
            let last = seen.borrow_and_update().clone();
            match last {
                LastLook::Seen(cluster) if cluster.began >= stood => {
                    match self.position(token, &cluster) {
                        Ok(true) => {
                            let PostgresCandidacy { group, lease, .. } = &self.candidacy;
                            return Ok(leader_key(group, *lease, token));
                        }
                        Ok(false) => {}
                        Err(fault) => break fault,
                    }
                }
                LastLook::Failed(failed) if failed.is_refusal() => break failed.fault(),
                _ => {}
            }
            if seen.changed().await.is_err() {
                break PostgresFault::Closed;
            }
        };
        Err(self.tools.calls.error(CAMPAIGN, fault))
    }

    /// Whether it is the first.
    fn position(&self, token: FencingToken, seen: &SeenCluster) -> Result<bool, PostgresFault> {
        let PostgresCandidacy { group, lease, .. } = &self.candidacy;
        let queue = seen.roster.queue(group);
        if !queue.iter().any(|it| it.key.fencing_token == token && it.key.lease == *lease) {
            let known = seen.leases.contains(lease);
            return Err(if known { PostgresFault::Removed } else { PostgresFault::LeaseGone });
        }
        let first = seen.roster.succession(group).first();
        Ok(first.is_some_and(|first| first.key.fencing_token == token))
    }

    /// Leaves the candidate in the queue, or knows that it is not there.
    fn keep(mut self) {
        self.lock = None;
    }
}

impl Drop for StandingCandidate {
    fn drop(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        let (tools, candidacy, on_its_way) =
            (self.tools.clone(), self.candidacy.clone(), self.on_its_way);
        let runtime = tools.calls.pool().runtime().clone();
        drop(runtime.spawn(async move {
            let CampaignTools { calls, observer, stop } = tools;
            // If the store is dropped, the candidate stays until its lease ends.
            let withdrawal = withdraw(&calls, &candidacy, on_its_way);
            let _ = stop.run_until_cancelled(withdrawal).await;
            observer.wake();
            drop(lock);
        }));
    }
}

/// Removes the candidate, and returns when it cannot exist or appear any more.
async fn withdraw(calls: &PostgresCalls, candidacy: &PostgresCandidacy, mut on_its_way: bool) {
    let withdraw: PostgresWork<_, _> = |tx, PostgresCandidacy { group, lease, .. }| {
        roster_writes::withdraw(tx, group, *lease, None).boxed()
    };
    let timeout = calls.pool().source().request_timeout;
    loop {
        match calls.call("withdraw the candidate", candidacy.clone(), withdraw).await {
            Ok(()) if !on_its_way => return,
            Ok(()) => {
                // A statement that the server has begun ends within its time-out there, and one
                // that it gets later than that after the transaction's beginning finds it ended.
                on_its_way = false;
                sleep(timeout * 2).await;
            }
            Err(StoreError::Refused { problem, .. }) => {
                return REFUSED_WITHDRAWALS.report_text(&problem, |repeats| {
                    tracing::warn!(group = %candidacy.group, problem, "cannot withdraw a candidate{repeats}");
                });
            }
            Err(_) => sleep(timeout.min(Duration::from_millis(500))).await,
        }
    }
}
