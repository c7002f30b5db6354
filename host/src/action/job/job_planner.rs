//! Where a leader stands in the firings of a job: the keeper without its clock, its tasks and
//! its store, so that the simulation has the same.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Utc};

use super::{
    firing::Firing,
    job_mark::JobMark,
    timetable::{self, TimetableStep},
};
use soloist_config::JobConfig;
use soloist_heart::clock::ClockTrust;

/// What a leader knows of its job's firings, and goes by.
#[derive(Clone, Debug)]
pub struct JobPlanner {
    action: Arc<str>,
    mark: JobMark,
    /// How many were missed and dropped since the latest that was begun.
    missed: u64,
    /// Firings that were begun before this term: a clock may come back to them.
    begun_before: BTreeSet<String>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobStep {
    /// Nothing before this moment; if there is none, until something changes.
    Wait(Option<DateTime<Utc>>),
    /// Claim this firing, and begin it once it is claimed.
    Claim(Firing),
    /// Nothing but to say it: the firings up to this time were missed, so many of them, and
    /// are dropped. It goes to the store with the next claim.
    Missed(DateTime<Utc>, u64),
    /// Open the ledger anew: what was claimed without a gap reaches too far ahead.
    ReopenLedger,
}

impl JobPlanner {
    /// That of the job called `action`, from what its ledger says: the mark, and the ids of
    /// the firings that were begun.
    #[must_use]
    pub fn new(action: Arc<str>, mark: JobMark, begun: impl IntoIterator<Item = String>) -> Self {
        Self { action, mark, missed: 0, begun_before: begun.into_iter().collect() }
    }

    /// What claims go by.
    #[must_use]
    pub fn mark(&self) -> &JobMark {
        &self.mark
    }

    /// How many firings were missed and dropped since the latest that was begun.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// What to do when the clock shows `now`, and may be gone by as `leave` says. No firing
    /// can begin while the job is `busy`.
    pub fn next(
        &mut self,
        job: &JobConfig,
        leave: &ClockTrust,
        now: DateTime<Utc>,
        busy: bool,
    ) -> JobStep {
        if *leave != ClockTrust::Trusted {
            // Whatever a wrong clock takes for missed is not.
            return JobStep::Wait(None);
        }
        loop {
            self.mark.settled = self.mark.settled_by(now);
            match timetable::next(&self.action, job, &self.mark, now, busy) {
                TimetableStep::Wait(until) => return JobStep::Wait(until),
                TimetableStep::Reset => return JobStep::ReopenLedger,
                TimetableStep::Fire(firing) if self.begun_before.contains(&firing.id) => {
                    self.mark.settled = firing.scheduled;
                }
                TimetableStep::Fire(firing) => return JobStep::Claim(firing),
                TimetableStep::Drop(to, count) => {
                    self.mark.settled = to;
                    self.missed = self.missed.saturating_add(count);
                    return JobStep::Missed(to, count);
                }
            }
        }
    }

    /// A firing was claimed, which made this mark. What was dropped meanwhile stays so.
    pub fn claimed(&mut self, mark: JobMark) {
        (self.mark, self.missed) = (mark, 0);
    }

    /// A firing that was claimed could not begin in time, and was dropped.
    pub fn missed_one(&mut self) {
        self.missed = self.missed.saturating_add(1);
    }

    /// The ledger was opened again: it says this.
    pub fn reopened(&mut self, mark: JobMark, begun: impl IntoIterator<Item = String>) {
        (self.mark, self.begun_before) = (mark, begun.into_iter().collect());
    }
}
