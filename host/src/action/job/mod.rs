//! The runner of kind `job`: a program that is run by a schedule, or when a person asks for it.
//!
//! [`timetable`] and [`job_planner`] decide what to do and are pure; [`ledger`] stores what must
//! outlive a leader; [`job_runner`] is the task that connects them; [`firing_attempts`] runs the
//! guest.
//!
//! Guarantees:
//! - A firing is started at most once in the cluster: before that, it is claimed in the store under
//!   the leader's key. Whatever becomes of it then, no other leader starts it again; the attempts
//!   of `retries` are made by the leader that claimed it.
//! - A term that ends, and a version that is replaced, start no firing. A firing that has started
//!   may finish for as long as a drain lasts.
//! - A job that fails ends no term. It is shown, counted and logged.
//! - Wall time decides when a job is due, and nothing else.

mod claimed_spans;
mod firing;
mod firing_attempts;
mod firing_record;
mod job_mark;
mod job_planner;
mod job_runner;
mod job_triggers;
mod ledger;
mod timetable;
mod upcoming;

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::timeout;

pub use claimed_spans::ClaimedSpans;
pub use firing::Firing;
pub use firing_record::{FiringOutcome, FiringRecord};
pub use job_mark::JobMark;
pub use job_planner::{JobPlanner, JobStep};
pub use job_triggers::{JobTriggers, TriggerRefusal, TriggeredFiring};
pub use ledger::{Ledger, LedgerOpening, NumberedRecord, RECORDS_MAX, TermOver, history};
pub use upcoming::{UpcomingFiring, upcoming_firings};

use super::{TaskScope, action_version::VersionContext};
use crate::wall_clock::WallClock;
use soloist_config::JobConfig;
use soloist_guests::plugin::ServiceEntry;
use soloist_stores::StateStore;

/// What all jobs of a host share. Clones share the same.
#[derive(Clone)]
pub struct JobServices {
    /// The store of the ledgers.
    pub ledger: Arc<dyn StateStore>,
    /// Where people's requests to run a job arrive.
    pub triggers: JobTriggers,
    /// The clock that schedules follow.
    pub clock: WallClock,
}

impl fmt::Debug for JobServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("desk", &self.triggers).finish_non_exhaustive()
    }
}

/// Controls a job under a term.
pub(super) struct JobHandle {
    runner: TaskScope,
    firings: TaskScope,
}

impl JobHandle {
    /// Starts the task that runs it by its schedule.
    pub(super) fn start(run: Arc<VersionContext>, entry: ServiceEntry, job: &JobConfig) -> Self {
        let (runner, firings) = (run.services.tasks.child(), run.services.tasks.child());
        let (job, jobs) = (Arc::new(job.clone()), run.services.jobs.clone());
        runner.spawn(job_runner::run_job(run, entry, job, jobs, firings.clone()));
        Self { runner, firings }
    }

    /// Waits for the firings that have started, in a term that drains.
    pub(super) async fn finish(&self) {
        self.firings.join().await;
    }

    /// Ends it, so that another version can start: nothing is fired any more, and firings that have
    /// started may take up to `patience` to finish.
    pub(super) async fn end(self, patience: Duration) {
        let finished = async {
            self.runner.join().await;
            self.firings.join().await;
        };
        // Firings that take longer are stopped.
        let _ = timeout(patience, finished).await;
        self.runner.stop().await;
        self.firings.stop().await;
    }
}
