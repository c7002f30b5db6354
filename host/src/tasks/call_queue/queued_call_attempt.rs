//! One attempt at a queued call: claims it, runs it, and writes the outcome to the store.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::QueuedCallRunner;
use crate::action::TaskError;
use soloist_guests::plugin::{TaskCall, TaskOutput};
use soloist_heart::{LeaseId, clock::back_off};
use soloist_stores::{
    CallClaimer, CallQueueStore, Claim, QueuedCallResult, QueuedCallRetry, StoreError, WaitingCall,
};
use soloist_telemetry::{log_throttle::LogThrottle, measure};

/// An attempt at one queued call that was picked from the queue.
pub(super) struct QueuedCallAttempt {
    pub(super) call_queue: Arc<dyn CallQueueStore>,
    pub(super) runner: Arc<dyn QueuedCallRunner>,
    pub(super) claimer: CallClaimer,
    /// The queued call as it was when it was picked.
    pub(super) queued: WaitingCall,
    /// How long the store keeps the answer.
    pub(super) keep_answer: Duration,
    /// The pause before a failed call to the store is repeated.
    pub(super) retry: Duration,
    /// Throttles the log lines about dead letters of this task.
    pub(super) dead_letter_log: Arc<LogThrottle>,
    /// Cancelled when the session ends: the attempt stops without writing anything.
    pub(super) session: CancellationToken,
    /// Cancelled when the host stops: the attempt is interrupted, and the queued call given back.
    pub(super) release: CancellationToken,
}

/// How an attempt ended, for the queue of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttemptEnd {
    /// The queued call has changed in the store, by this attempt or by another host. The queue's
    /// watch will report it.
    CallQueueChanged,
    /// The queued call was not claimed, and is as it was.
    NotBegun,
    /// The queued call was not claimed, since the store does not know this lease.
    SessionGone(LeaseId),
}

/// How attempts end, as labels of metrics: done, back in the queue, or given up.
pub(crate) const ATTEMPT_OUTCOMES: [&str; 3] = ["done", "again", "dead"];

/// What is written to the store about an attempt.
enum AttemptOutcome {
    Done(QueuedCallResult),
    Retry(QueuedCallRetry),
    Dead(String),
}

impl AttemptOutcome {
    /// The outcome as a label of metrics.
    fn as_str(&self) -> &'static str {
        let [done, again, dead] = ATTEMPT_OUTCOMES;
        match self {
            Self::Done(_) => done,
            Self::Retry(_) => again,
            Self::Dead(_) => dead,
        }
    }
}

impl QueuedCallAttempt {
    /// Makes the attempt, unless the session ends.
    pub(super) async fn run(self) -> AttemptEnd {
        let claimed = match self.session.run_until_cancelled(self.claim()).await {
            Some(Ok(Some(claimed))) => claimed,
            Some(Ok(None)) => return AttemptEnd::CallQueueChanged,
            Some(Err(StoreError::LeaseGone)) => return AttemptEnd::SessionGone(self.claimer.lease),
            Some(Err(_)) | None => return AttemptEnd::NotBegun,
        };
        let (claim, payload) = claimed;
        let work = async {
            let outcome = self.outcome(&claim, payload).await;
            self.report(&claim, outcome).await;
        };
        if self.session.run_until_cancelled(work).await.is_none() {
            debug!(queued_call = %claim.key, "interrupted: the session has ended");
        }
        AttemptEnd::CallQueueChanged
    }

    /// Claims the queued call; none if another host was faster. Repeated until the store answers:
    /// if it had been claimed without this host knowing, no host would do it while this session
    /// lives.
    async fn claim(&self) -> Result<Option<(Claim, Bytes)>, StoreError> {
        loop {
            match self.call_queue.claim(&self.claimer, &self.queued).await {
                Err(error) if !matches!(error, StoreError::LeaseGone) => {
                    debug!(queued_call = %self.queued.key, %error, "cannot claim a queued call");
                    if self.pause().await.is_none() {
                        return Err(error);
                    }
                }
                answer => return answer,
            }
        }
    }

    /// Waits before the next try; none if everything is to be given back meanwhile.
    async fn pause(&self) -> Option<()> {
        self.release.run_until_cancelled(sleep(self.retry)).await
    }

    /// Runs a claimed queued call.
    async fn outcome(&self, claim: &Claim, payload: Bytes) -> AttemptOutcome {
        if self.queued.head.is_spent() {
            let by = self.queued.head.by.as_deref().unwrap_or("its host");
            return AttemptOutcome::Dead(format!("{by} was lost during the last attempt"));
        }
        let call = TaskCall {
            id: claim.key.id.clone(),
            name: claim.key.task.clone(),
            payload,
            content_type: claim.head.content_type.clone(),
            attempt: claim.head.attempts,
            // The trace of the caller may have ended days ago.
            trace: None,
        };
        let answer = self.release.run_until_cancelled(self.runner.perform(call)).await;
        match answer {
            Some(Ok(TaskOutput { payload, content_type })) => {
                AttemptOutcome::Done(QueuedCallResult { payload, content_type })
            }
            Some(Err(refused @ TaskError::Refused(_))) => AttemptOutcome::Dead(refused.to_string()),
            // The task was not started: another host may have room for it.
            Some(Err(TaskError::Busy | TaskError::Leaving)) => {
                let wait = back_off(1, &mut fastrand::Rng::new());
                AttemptOutcome::Retry(QueuedCallRetry { wait, ..QueuedCallRetry::default() })
            }
            Some(Err(failed @ (TaskError::Failed(_) | TaskError::Late(_)))) => {
                Self::after_failure(claim, failed.to_string())
            }
            None => AttemptOutcome::Retry(QueuedCallRetry::default()),
        }
    }

    /// Another attempt after a pause, or a dead letter if there were enough.
    fn after_failure(claim: &Claim, error: String) -> AttemptOutcome {
        if claim.head.is_spent() {
            return AttemptOutcome::Dead(error);
        }
        let wait = back_off(claim.head.attempts, &mut fastrand::Rng::new());
        debug!(queued_call = %claim.key, error, ?wait, "a queued call failed, and is tried again");
        AttemptOutcome::Retry(QueuedCallRetry { wait, error: Some(error), counted: true })
    }

    /// Writes the outcome to the store, and repeats that until the store has it or says that the
    /// claim is no longer this host's.
    async fn report(&self, claim: &Claim, mut outcome: AttemptOutcome) {
        let mut unsure = false;
        loop {
            match self.write(claim, &outcome).await {
                Ok(()) => {
                    measure::queued_call_attempted(&claim.key.task, outcome.as_str());
                    return self.log_dead_letter(claim, &outcome);
                }
                Err(error @ (StoreError::Conflict | StoreError::LeaseGone)) => {
                    // After a write whose answer was lost, a conflict most likely means that the
                    // write was made.
                    if unsure && matches!(error, StoreError::Conflict) {
                        measure::queued_call_attempted(&claim.key.task, outcome.as_str());
                    }
                    debug!(queued_call = %claim.key, "already reported, or another host has taken \
                     over");
                    return;
                }
                Err(StoreError::Limit(problem)) => outcome = AttemptOutcome::Dead(problem),
                Err(error) => {
                    unsure = true;
                    debug!(queued_call = %claim.key, %error, "cannot record the outcome of a queued call");
                    // Not by `pause`: even when the host stops, the outcome is still to be written.
                    sleep(self.retry).await;
                }
            }
        }
    }

    async fn write(&self, claim: &Claim, outcome: &AttemptOutcome) -> Result<(), StoreError> {
        match outcome {
            AttemptOutcome::Done(answer) => {
                self.call_queue.complete(claim, answer, self.keep_answer).await
            }
            AttemptOutcome::Retry(again) => self.call_queue.requeue(claim, again).await,
            AttemptOutcome::Dead(error) => self.call_queue.mark_dead(claim, error).await,
        }
    }

    fn log_dead_letter(&self, claim: &Claim, outcome: &AttemptOutcome) {
        let AttemptOutcome::Dead(error) = outcome else { return };
        let (task, id, attempts) = (&claim.key.task, &claim.key.id, claim.head.attempts);
        self.dead_letter_log.report_text(error, |told| {
            warn!(
                event = "dead-letter", %task, %id, attempts, error,
                "a queued call of {task} is a dead letter: `soloist task dead-letters list {task}`{told}"
            );
        });
    }
}
