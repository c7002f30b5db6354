//! One attempt at a cast: claim it, do it, say what came of it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::CastRunner;
use crate::action::TaskError;
use soloist_guests::plugin::{TaskCall, TaskOutput};
use soloist_heart::{LeaseId, clock::back_off};
use soloist_stores::{
    CastAnswer, CastClaimer, CastRetry, CastStore, Claim, QueuedCast, StoreError,
};
use soloist_telemetry::{log_throttle::LogThrottle, measure};

/// What an attempt needs.
pub(super) struct CastAttempt {
    pub(super) casts: Arc<dyn CastStore>,
    pub(super) runner: Arc<dyn CastRunner>,
    pub(super) claimer: CastClaimer,
    /// As it was when it was picked.
    pub(super) queued: QueuedCast,
    /// How long an answer is kept.
    pub(super) keep_answer: Duration,
    /// From a call to the store that failed to the next.
    pub(super) retry: Duration,
    /// What is said of the dead letters of its task.
    pub(super) dead: Arc<LogThrottle>,
    /// Ends with the session.
    pub(super) session: CancellationToken,
    /// Ends what is under way, and gives it back.
    pub(super) release: CancellationToken,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttemptEnd {
    /// It was made, or the cast was not as it seemed: there will be news of it.
    CastChanged,
    /// It was not begun.
    NotBegun,
    /// It was not begun, since the store does not know this lease.
    SessionGone(LeaseId),
}

/// What is to be written of an attempt.
enum AttemptOutcome {
    Done(CastAnswer),
    Retry(CastRetry),
    Dead(String),
}

impl AttemptOutcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Retry(_) => "again",
            Self::Dead(_) => "dead",
        }
    }
}

impl CastAttempt {
    /// Makes it, unless the session ends.
    pub(super) async fn run(self) -> AttemptEnd {
        let claimed = match self.session.run_until_cancelled(self.claim()).await {
            Some(Ok(Some(claimed))) => claimed,
            Some(Ok(None)) => return AttemptEnd::CastChanged,
            Some(Err(StoreError::LeaseGone)) => return AttemptEnd::SessionGone(self.claimer.lease),
            Some(Err(_)) | None => return AttemptEnd::NotBegun,
        };
        let (claim, payload) = claimed;
        let work = async {
            let outcome = self.outcome(&claim, payload).await;
            self.report(&claim, outcome).await;
        };
        if self.session.run_until_cancelled(work).await.is_none() {
            debug!(cast = %claim.key, "interrupted: the session has ended");
        }
        AttemptEnd::CastChanged
    }

    /// Asks until the store has answered: a claim that nobody knows of would
    /// keep the cast from everybody.
    async fn claim(&self) -> Result<Option<(Claim, Bytes)>, StoreError> {
        loop {
            match self.casts.claim(&self.claimer, &self.queued).await {
                Err(error) if !matches!(error, StoreError::LeaseGone) => {
                    debug!(cast = %self.queued.key, %error, "cannot claim a cast");
                    if self.pause().await.is_none() {
                        return Err(error);
                    }
                }
                answer => return answer,
            }
        }
    }

    /// The pause before the next try; nothing when all is to be given back.
    async fn pause(&self) -> Option<()> {
        self.release.run_until_cancelled(sleep(self.retry)).await
    }

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
            // It may have been cast days ago.
            trace: None,
        };
        let answer = self.release.run_until_cancelled(self.runner.perform(call)).await;
        match answer {
            Some(Ok(TaskOutput { payload, content_type })) => {
                AttemptOutcome::Done(CastAnswer { payload, content_type })
            }
            Some(Err(refused @ TaskError::Refused(_))) => AttemptOutcome::Dead(refused.to_string()),
            // It was not begun: another host may have room.
            Some(Err(TaskError::Busy | TaskError::Leaving)) => {
                let wait = back_off(1, &mut fastrand::Rng::new());
                AttemptOutcome::Retry(CastRetry { wait, ..CastRetry::default() })
            }
            Some(Err(failed @ (TaskError::Failed(_) | TaskError::Late(_)))) => {
                Self::after_failure(claim, failed.to_string())
            }
            None => AttemptOutcome::Retry(CastRetry::default()),
        }
    }

    fn after_failure(claim: &Claim, error: String) -> AttemptOutcome {
        if claim.head.is_spent() {
            return AttemptOutcome::Dead(error);
        }
        let wait = back_off(claim.head.attempts, &mut fastrand::Rng::new());
        debug!(cast = %claim.key, error, ?wait, "a cast failed, and is tried again");
        AttemptOutcome::Retry(CastRetry { wait, error: Some(error), counted: true })
    }

    /// Says what came of it until the store has it, or has another's claim.
    async fn report(&self, claim: &Claim, mut outcome: AttemptOutcome) {
        let mut unsure = false;
        loop {
            match self.write(claim, &outcome).await {
                Ok(()) => {
                    measure::cast_attempted(&claim.key.task, outcome.word());
                    return self.log_dead_letter(claim, &outcome);
                }
                Err(error @ (StoreError::Conflict | StoreError::LeaseGone)) => {
                    // A word whose answer was lost was heard, as a rule.
                    if unsure && matches!(error, StoreError::Conflict) {
                        measure::cast_attempted(&claim.key.task, outcome.word());
                    }
                    debug!(cast = %claim.key, "said already, or another host has taken over");
                    return;
                }
                Err(StoreError::Limit(problem)) => outcome = AttemptOutcome::Dead(problem),
                Err(error) => {
                    unsure = true;
                    debug!(cast = %claim.key, %error, "cannot say what came of a cast");
                    // With nothing left to give back, only the word of it remains.
                    sleep(self.retry).await;
                }
            }
        }
    }

    async fn write(&self, claim: &Claim, outcome: &AttemptOutcome) -> Result<(), StoreError> {
        match outcome {
            AttemptOutcome::Done(answer) => {
                self.casts.complete(claim, answer, self.keep_answer).await
            }
            AttemptOutcome::Retry(again) => self.casts.requeue(claim, again).await,
            AttemptOutcome::Dead(error) => self.casts.mark_dead(claim, error).await,
        }
    }

    fn log_dead_letter(&self, claim: &Claim, outcome: &AttemptOutcome) {
        let AttemptOutcome::Dead(error) = outcome else { return };
        let (task, id, attempts) = (&claim.key.task, &claim.key.id, claim.head.attempts);
        self.dead.report_text(error, |told| {
            warn!(
                event = "dead-letter", %task, %id, attempts, error,
                "a cast of {task} is a dead letter: `soloist tasks dead list {task}`{told}"
            );
        });
    }
}
