//! The runner of kind `job`: a program that is run by a schedule, or when a person asks for it.
//!
//! What to do is decided by [`soloist_jobs`], which is pure; [`ledger`] stores what must outlive a
//! leader; [`job_runner`] is the task that connects them; [`run_attempts`] runs the guest.
//!
//! Guarantees:
//! - A run is started at most once in the cluster: before that, it is claimed in the store under
//!   the leader's key. Whatever becomes of it then, no other leader starts it again; the attempts
//!   of `max_attempts` are made by the leader that claimed it.
//! - A term that ends, and a version that is replaced, start no run. A run that has started
//!   may finish for as long as a drain lasts.
//! - A job that fails ends no term. It is shown, counted and logged.
//! - Wall time decides when a job is due, and nothing else.

mod job_runner;
mod job_services;
mod job_triggers;
mod ledger;
mod run_attempts;

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

pub use job_services::JobServices;
pub use job_triggers::{JobTriggers, TriggerRefusal, TriggeredRun};
pub use ledger::{Ledger, LedgerOpening, NumberedRecord, RECORDS_MAX, TermOver, history};

use super::version_context::VersionContext;
use crate::task_scope::TaskScope;
use soloist_config::JobConfig;
use soloist_guests::plugin::ServiceEntryPoint;

/// Controls a job under a term.
pub(super) struct JobHandle {
    runner: TaskScope,
    runs: TaskScope,
}

impl JobHandle {
    /// Starts the task that runs it by its schedule.
    pub(super) fn start(
        version: Arc<VersionContext>,
        entry: ServiceEntryPoint,
        job: &JobConfig,
        services: JobServices,
    ) -> Self {
        let (runner, runs) = (version.tasks.child(), version.tasks.child());
        let job = Arc::new(job.clone());
        runner.spawn(job_runner::run_job(version, entry, job, services, runs.clone()));
        Self { runner, runs }
    }

    /// Waits for the runs that have started, in a term that drains.
    pub(super) async fn finish(&self) {
        self.runs.join().await;
    }

    /// Ends it, so that another version can start: nothing is fired any more, and runs that have
    /// started may take up to `patience` to finish.
    pub(super) async fn end(self, patience: Duration) {
        let finished = async {
            self.runner.join().await;
            self.runs.join().await;
        };
        // Runs that take longer are stopped.
        let _ = timeout(patience, finished).await;
        self.runner.stop().await;
        self.runs.stop().await;
    }
}
