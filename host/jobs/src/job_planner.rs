//! Plans the next step of a job: the job's runner without its clock, tasks and store. The
//! simulation uses it as well.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    job_mark::JobMark,
    job_run::JobRun,
    timetable::{self, TimetableStep},
};
use soloist_config::JobConfig;
use soloist_heart::clock::ClockTrust;

/// What a leader knows of its job's runs, from which it plans.
#[derive(Clone, Debug)]
pub struct JobPlanner {
    action: Arc<str>,
    mark: JobMark,
    /// How many runs were missed and dropped since the latest one that was started.
    missed: u64,
    /// The ids of runs that were started before this term; a clock that is set back may come to
    /// them again.
    begun_before: BTreeSet<String>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobStep {
    /// Nothing before this moment; without one, nothing until something changes.
    Wait(Option<DateTime<Utc>>),
    /// Claim this run, and start it once it is claimed.
    Claim(JobRun),
    /// Report that the runs up to this time, this many, were missed and are dropped. The next
    /// claim writes that to the store.
    Missed(DateTime<Utc>, u64),
    /// Open the ledger again: the claimed span around now reaches too far into the future.
    ReopenLedger,
}

impl JobPlanner {
    /// A planner for the job called `action`, from what its ledger has: the mark, and the ids of
    /// the runs that were started.
    #[must_use]
    pub fn new(action: Arc<str>, mark: JobMark, begun: impl IntoIterator<Item = String>) -> Self {
        Self { action, mark, missed: 0, begun_before: begun.into_iter().collect() }
    }

    /// The mark that the next claim is based on.
    #[must_use]
    pub fn mark(&self) -> &JobMark {
        &self.mark
    }

    /// How many runs were missed and dropped since the latest one that was started.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// What to do when the clock shows `now` and may be used as `leave` says. No run can start
    /// while the job is `busy`.
    pub fn next(
        &mut self,
        job: &JobConfig,
        leave: &ClockTrust,
        now: DateTime<Utc>,
        busy: bool,
    ) -> JobStep {
        if *leave != ClockTrust::Trusted {
            // While the clock is in doubt, nothing counts as missed.
            return JobStep::Wait(None);
        }
        loop {
            self.mark.settled = self.mark.settled_by(now);
            match timetable::next(&self.action, job, &self.mark, now, busy) {
                TimetableStep::Wait(until) => return JobStep::Wait(until),
                TimetableStep::Reset => return JobStep::ReopenLedger,
                TimetableStep::Fire(run) if self.begun_before.contains(&run.id) => {
                    self.mark.settled = run.scheduled;
                }
                TimetableStep::Fire(run) => return JobStep::Claim(run),
                TimetableStep::Drop(to, count) => {
                    self.mark.settled = to;
                    self.missed = self.missed.saturating_add(count);
                    return JobStep::Missed(to, count);
                }
            }
        }
    }

    /// Notes that a run was claimed, which made this mark. Dropped runs stay dropped.
    pub fn claimed(&mut self, mut mark: JobMark) {
        // A run may have succeeded while the claim was on its way.
        mark.note_success(self.mark.last_success);
        (self.mark, self.missed) = (mark, 0);
    }

    /// Notes that a run has succeeded at this moment. The next claim writes that to the store.
    pub fn succeeded(&mut self, at: DateTime<Utc>) {
        self.mark.note_success(Some(at));
    }

    /// Notes that a claimed run could not start in time, and was dropped.
    pub fn missed_one(&mut self) {
        self.missed = self.missed.saturating_add(1);
    }

    /// Notes what the ledger has after it was opened again.
    pub fn reopened(&mut self, mark: JobMark, begun: impl IntoIterator<Item = String>) {
        (self.mark, self.begun_before) = (mark, begun.into_iter().collect());
    }
}
