//! The mark of a job: up to when its runs are settled, and how a claim changes that.
//!
//! This is pure: the host's ledger of jobs reads the mark from the store and writes it there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    claimed_spans::ClaimedSpans,
    job_run::JobRun,
    run_record::{RunOutcome, RunRecord},
};

/// Up to when the runs of a job are settled. It is stored next to the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMark {
    /// All runs up to this time are settled, by the clock of the host that claimed the latest.
    pub settled: DateTime<Utc>,
    /// The claimed runs: none of these is ever started again, whatever clocks show.
    #[serde(default)]
    pub claimed: ClaimedSpans,
    /// The schedule that the mark was made for.
    pub schedule: String,
    /// How many records were ever made; also the number of the latest one.
    pub count: u64,
    /// The run of the latest record, and the fencing token under which it was claimed.
    pub latest: Option<(String, i64)>,
    /// When the latest successful run ended, as far as the claim that wrote the mark knew.
    #[serde(default)]
    pub last_success: Option<DateTime<Utc>>,
}

impl JobMark {
    /// The mark of a job whose runs are settled up to `now`, with `count` records made.
    #[must_use]
    pub fn new(now: DateTime<Utc>, schedule: &str, count: u64) -> Self {
        let (claimed, schedule) = (ClaimedSpans::default(), schedule.to_owned());
        Self { settled: now, claimed, schedule, count, latest: None, last_success: None }
    }

    /// Up to when runs are settled, by a clock that shows `now`. If that is before the time that
    /// the latest leader settled, one of the two clocks is wrong, and what that leader passed over
    /// without claiming it is not settled. The result must be taken as settled from then on: asked
    /// again later, this gives another answer.
    #[must_use]
    pub fn settled_by(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.settled <= now {
            return self.settled;
        }
        let within = self.claimed.end_around(now).map(|_| now);
        within.or_else(|| self.claimed.end_before(now)).unwrap_or(now)
    }

    /// Takes the claimed runs from `records` if the mark does not have them: former versions of
    /// soloist wrote marks without.
    pub fn complete_from(&mut self, records: &[RunRecord]) {
        if self.claimed.is_empty() {
            let scheduled =
                || records.iter().filter(|record| !record.by_hand).map(|it| it.scheduled_at);
            let bounds = scheduled().min().zip(scheduled().max());
            self.claimed =
                bounds.map_or_else(ClaimedSpans::default, |(a, b)| ClaimedSpans::all(a, b));
        }
    }

    /// Notes the successful runs among `records`. Each claim writes to the mark what its leader
    /// knew, so that the last success outlives its record.
    pub fn note_successes(&mut self, records: &[RunRecord]) {
        let done = records.iter().filter(|record| record.outcome == RunOutcome::Done);
        self.note_success(done.filter_map(|record| record.ended_at).max());
    }

    /// Notes that a run has succeeded at this moment.
    pub fn note_success(&mut self, at: Option<DateTime<Utc>>) {
        self.last_success = self.last_success.max(at);
    }

    /// Whether the mark is for this schedule, so that a leader goes on from it.
    #[must_use]
    pub fn has_schedule(&self, schedule: &str) -> bool {
        self.schedule == schedule
    }

    /// The mark to go on from at `now`, with another schedule or after a `reset`. Claimed
    /// runs never start again; but a reset forgets the part after `now` of a span around `now`.
    #[must_use]
    pub fn from_now(&self, now: DateTime<Utc>, schedule: &str, reset: bool) -> Self {
        let mut claimed = self.claimed.clone();
        if reset {
            claimed.cut(now);
        }
        Self { settled: now, claimed, schedule: schedule.to_owned(), ..self.clone() }
    }

    /// The mark after a claim of `run` at `now`, under the fencing token.
    #[must_use]
    pub fn after_claim(&self, run: &JobRun, fencing_token: i64, now: DateTime<Utc>) -> Self {
        let (settled, claimed) = if run.by_hand {
            (self.settled, self.claimed.clone())
        } else {
            let claimed = self.claimed.including(self.settled_by(now), run.scheduled);
            (run.scheduled, claimed)
        };
        let (schedule, latest) = (self.schedule.clone(), Some((run.id.clone(), fencing_token)));
        let (count, last_success) = (self.count + 1, self.last_success);
        Self { settled, claimed, schedule, count, latest, last_success }
    }

    /// Whether a claim that is based on this mark may replace `stored`: nothing else was claimed
    /// since.
    #[must_use]
    pub fn is_unchanged_in(&self, stored: &Self) -> bool {
        self.count == stored.count
    }
}
