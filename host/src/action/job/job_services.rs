//! What all jobs of a host share.

use std::{fmt, sync::Arc};

use super::job_triggers::JobTriggers;
use crate::wall_clock::WallClock;
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
        f.debug_struct("JobServices").field("triggers", &self.triggers).finish_non_exhaustive()
    }
}
