//! The runner of kind `job`: a program that is run when its schedule says so, or when a
//! person asks for it.
//!
//! [`timetable`] decides, and knows nothing of the world; [`course`] is where a leader stands
//! in it; [`ledger`] keeps what must outlive a leader; [`keeper`] is the task between them;
//! [`attempts`] runs the guest.
//!
//! Invariants:
//! - A firing is begun at most once in the cluster: it is claimed before, in the store and
//!   under the leader's key. Whatever becomes of it then, no leader begins it again; the
//!   attempts of `retries` are of the one that did.
//! - A term that ends, and a version that is replaced, begin no firing. What has begun may
//!   finish as long as a drain lasts.
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

/// What all jobs of a host share. Clones are the same.
#[derive(Clone)]
pub struct JobServices {
    /// Where it is kept what has fired.
    pub ledger: Arc<dyn StateStore>,
    /// Where those find them who want one run.
    pub triggers: JobTriggers,
    /// The time that schedules go by.
    pub clock: WallClock,
}

impl fmt::Debug for JobServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("desk", &self.triggers).finish_non_exhaustive()
    }
}

/// The hold on a job under a term.
pub(super) struct JobHandle {
    runner: TaskScope,
    firings: TaskScope,
}

impl JobHandle {
    /// Starts the task that keeps it to its schedule.
    pub(super) fn start(run: Arc<VersionContext>, entry: ServiceEntry, job: &JobConfig) -> Self {
        let (runner, firings) = (run.services.tasks.child(), run.services.tasks.child());
        let (job, jobs) = (Arc::new(job.clone()), run.services.jobs.clone());
        runner.spawn(job_runner::run_job(run, entry, job, jobs, firings.clone()));
        Self { runner, firings }
    }

    /// Waits for what has begun, in a term that drains.
    pub(super) async fn finish(&self) {
        self.firings.join().await;
    }

    /// Ends it, so that another version can begin: nothing fires any more, and what has
    /// begun has so much time to finish.
    pub(super) async fn end(self, patience: Duration) {
        let finished = async {
            self.runner.join().await;
            self.firings.join().await;
        };
        // If that was not enough, it is stopped all the same.
        let _ = timeout(patience, finished).await;
        self.runner.stop().await;
        self.firings.stop().await;
    }
}
