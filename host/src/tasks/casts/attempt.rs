//! One attempt at a cast: claim it, do it, say what came of it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Perform;
use crate::action::TaskError;
use soloist_guests::plugin::{Answer, Call};
use soloist_heart::{LeaseId, clock::back_off};
use soloist_stores::{Again, CastAnswer, Casts, Claim, Claimer, Queued, StoreError};
use soloist_telemetry::{measure, repeats::Repeats};

/// What an attempt needs.
pub(super) struct Attempt {
    pub(super) casts: Arc<dyn Casts>,
    pub(super) perform: Arc<dyn Perform>,
    pub(super) by: Claimer,
    /// As it was when it was picked.
    pub(super) seen: Queued,
    /// How long an answer is kept.
    pub(super) keep: Duration,
    /// From a call to the store that failed to the next.
    pub(super) retry: Duration,
    /// What is said of the dead letters of its task.
    pub(super) dead: Arc<Repeats>,
    /// Ends with the session.
    pub(super) session: CancellationToken,
    /// Ends what is under way, and gives it back.
    pub(super) give_back: CancellationToken,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was made, or the cast was not as it seemed: there will be news of it.
    Known,
    /// It was not begun.
    NotBegun,
    /// It was not begun, since the store does not know this lease.
    NoSession(LeaseId),
}

/// What is to be written of an attempt.
enum Outcome {
    Done(CastAnswer),
    Again(Again),
    Dead(String),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Again(_) => "again",
            Self::Dead(_) => "dead",
        }
    }
}

impl Attempt {
    /// Makes it, unless the session ends.
    pub(super) async fn make(self) -> Ended {
        let claimed = match self.session.run_until_cancelled(self.claim()).await {
            Some(Ok(Some(claimed))) => claimed,
            Some(Ok(None)) => return Ended::Known,
            Some(Err(StoreError::LeaseGone)) => return Ended::NoSession(self.by.lease),
            Some(Err(_)) | None => return Ended::NotBegun,
        };
        let (claim, payload) = claimed;
        let work = async {
            let outcome = self.outcome(&claim, payload).await;
            self.settle(&claim, outcome).await;
        };
        if self.session.run_until_cancelled(work).await.is_none() {
            debug!(cast = %claim.key, "interrupted: the session has ended");
        }
        Ended::Known
    }

    /// Asks until the store has answered: a claim that nobody knows of would
    /// keep the cast from everybody.
    async fn claim(&self) -> Result<Option<(Claim, Bytes)>, StoreError> {
        loop {
            match self.casts.claim(&self.by, &self.seen).await {
                Err(error) if !matches!(error, StoreError::LeaseGone) => {
                    debug!(cast = %self.seen.key, %error, "cannot claim a cast");
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
        self.give_back.run_until_cancelled(sleep(self.retry)).await
    }

    async fn outcome(&self, claim: &Claim, payload: Bytes) -> Outcome {
        if self.seen.head.is_spent() {
            let by = self.seen.head.by.as_deref().unwrap_or("its host");
            return Outcome::Dead(format!("{by} was lost during the last attempt"));
        }
        let call = Call {
            id: claim.key.id.clone(),
            name: claim.key.task.clone(),
            payload,
            content_type: claim.head.content_type.clone(),
            attempt: claim.head.attempts,
            // It may have been cast days ago.
            trace: None,
        };
        let answer = self.give_back.run_until_cancelled(self.perform.perform(call)).await;
        match answer {
            Some(Ok(Answer { payload, content_type })) => {
                Outcome::Done(CastAnswer { payload, content_type })
            }
            Some(Err(refused @ TaskError::Refused(_))) => Outcome::Dead(refused.to_string()),
            // It was not begun: another host may have room.
            Some(Err(TaskError::Busy | TaskError::Leaving)) => {
                let wait = back_off(1, &mut fastrand::Rng::new());
                Outcome::Again(Again { wait, ..Again::default() })
            }
            Some(Err(failed @ (TaskError::Failed(_) | TaskError::Late(_)))) => {
                Self::failed(claim, failed.to_string())
            }
            None => Outcome::Again(Again::default()),
        }
    }

    fn failed(claim: &Claim, error: String) -> Outcome {
        if claim.head.is_spent() {
            return Outcome::Dead(error);
        }
        let wait = back_off(claim.head.attempts, &mut fastrand::Rng::new());
        debug!(cast = %claim.key, error, ?wait, "a cast failed, and is tried again");
        Outcome::Again(Again { wait, error: Some(error), counted: true })
    }

    /// Says what came of it until the store has it, or has another's claim.
    async fn settle(&self, claim: &Claim, mut outcome: Outcome) {
        let mut unsure = false;
        loop {
            match self.write(claim, &outcome).await {
                Ok(()) => {
                    measure::cast_attempted(&claim.key.task, outcome.word());
                    return self.tell(claim, &outcome);
                }
                Err(error @ (StoreError::Conflict | StoreError::LeaseGone)) => {
                    // A word whose answer was lost was heard, as a rule.
                    if unsure && matches!(error, StoreError::Conflict) {
                        measure::cast_attempted(&claim.key.task, outcome.word());
                    }
                    debug!(cast = %claim.key, "said already, or another host has taken over");
                    return;
                }
                Err(StoreError::Limit(problem)) => outcome = Outcome::Dead(problem),
                Err(error) => {
                    unsure = true;
                    debug!(cast = %claim.key, %error, "cannot say what came of a cast");
                    // With nothing left to give back, only the word of it remains.
                    sleep(self.retry).await;
                }
            }
        }
    }

    async fn write(&self, claim: &Claim, outcome: &Outcome) -> Result<(), StoreError> {
        match outcome {
            Outcome::Done(answer) => self.casts.done(claim, answer, self.keep).await,
            Outcome::Again(again) => self.casts.again(claim, again).await,
            Outcome::Dead(error) => self.casts.bury(claim, error).await,
        }
    }

    fn tell(&self, claim: &Claim, outcome: &Outcome) {
        let Outcome::Dead(error) = outcome else { return };
        let (task, id, attempts) = (&claim.key.task, &claim.key.id, claim.head.attempts);
        self.dead.said(error, |told| {
            warn!(
                event = "dead-letter", %task, %id, attempts, error,
                "a cast of {task} is a dead letter: `soloist tasks dead list {task}`{told}"
            );
        });
    }
}
