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

mod attempts;
mod claimed;
mod course;
mod desk;
mod firing;
mod keeper;
mod ledger;
mod mark;
mod record;
mod timetable;
mod upcoming;

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::timeout;

pub use claimed::Claimed;
pub use course::{Act, Course};
pub use desk::{Begun, Declined, Desk};
pub use firing::Firing;
pub use ledger::{Ledger, OpenedAs, Over, Page, RECORDS_MAX, history};
pub use mark::Mark;
pub use record::{Outcome, Record};
pub use upcoming::{Upcoming, upcoming};

use super::{Tasks, running::Run};
use crate::wall_clock::WallClock;
use soloist_config::JobConfig;
use soloist_guests::plugin::ServiceEntry;
use soloist_stores::State;

/// What all jobs of a host share. Clones are the same.
#[derive(Clone)]
pub struct Jobs {
    /// Where it is kept what has fired.
    pub ledger: Arc<dyn State>,
    /// Where those find them who want one run.
    pub desk: Desk,
    /// The time that schedules go by.
    pub clock: WallClock,
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("desk", &self.desk).finish_non_exhaustive()
    }
}

/// The hold on a job under a term.
pub(super) struct Job {
    keeper: Tasks,
    runs: Tasks,
}

impl Job {
    /// Starts the task that keeps it to its schedule.
    pub(super) fn start(run: Arc<Run>, entry: ServiceEntry, job: &JobConfig) -> Self {
        let (keeper, runs) = (run.scope.tasks.child(), run.scope.tasks.child());
        let (job, jobs) = (Arc::new(job.clone()), run.scope.jobs.clone());
        keeper.spawn(keeper::keep(run, entry, job, jobs, runs.clone()));
        Self { keeper, runs }
    }

    /// Waits for what has begun, in a term that drains.
    pub(super) async fn finish(&self) {
        self.runs.join().await;
    }

    /// Ends it, so that another version can begin: nothing fires any more, and what has
    /// begun has so much time to finish.
    pub(super) async fn end(self, patience: Duration) {
        let finished = async {
            self.keeper.join().await;
            self.runs.join().await;
        };
        // If that was not enough, it is stopped all the same.
        let _ = timeout(patience, finished).await;
        self.keeper.stop().await;
        self.runs.stop().await;
    }
}
