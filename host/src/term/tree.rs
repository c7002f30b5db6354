//! The task tree of one term: starts the actions of its group, and ends only when the last of their
//! tasks has been joined.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    sync::{
        mpsc::{UnboundedSender, unbounded_channel},
        watch,
    },
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};

use super::{
    group_lifecycle::GroupLifecycle,
    health::{ActionHealth, FailureVerdict},
    standby_hooks::StandbyHooks,
};
use crate::{
    action::{ActionDirectory, ActionFailure, JobServices, Programme, TermServices},
    task_scope::TaskScope,
};
use soloist_guests::capability::{TaskCaller, TermLink, TermNotice};
use soloist_heart::{EndCause, clock::BootTime};
use soloist_leadership::{Performer, RunningTerm, TermOrder};
use soloist_stores::StateStore;
use soloist_telemetry::measure;
use soloist_text::millis;

/// How often a term reviews what has failed in it.
const REVIEW: Duration = Duration::from_millis(500);

/// Runs the actions of this host under its terms. Holds what all terms share.
#[derive(Clone)]
pub struct ActionPerformer {
    /// Where actions keep their state.
    pub state: Arc<dyn StateStore>,
    /// What makes the calls of tasks by actions.
    pub task_calls: Arc<dyn TaskCaller>,
    /// The actions of this host; a term runs those of its group.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// Where running actions are registered, so that requests find them.
    pub directory: ActionDirectory,
    /// What all jobs share.
    pub jobs: JobServices,
    /// The catalog's inbox for versions that failed on trial: it goes back to the version before.
    pub trial_failures: UnboundedSender<ActionFailure>,
    /// The actions that have failed on this host.
    pub health: ActionHealth,
    /// The hooks of groups in which this host stands by.
    pub standby_hooks: StandbyHooks,
    /// How long a stop should take at most; a longer one is logged as a warning.
    pub stop_timeout: Duration,
    /// How long work under way may take to finish when a term ends gracefully.
    pub drain: Duration,
}

impl Performer for ActionPerformer {
    fn perform(&self, term: RunningTerm) -> BoxFuture<'static, ()> {
        let aside = self.standby_hooks.begin_term(&term.key().group);
        TermTree { term, context: self.clone(), standby_tasks: aside }.run().boxed()
    }
}

/// The tasks of a running term.
struct TermTree {
    term: RunningTerm,
    context: ActionPerformer,
    /// The hooks of the time when this host stood by, which are being interrupted.
    standby_tasks: TaskScope,
}

impl TermTree {
    /// Runs the actions until the term ends, and returns when nothing of it is alive.
    async fn run(mut self) {
        let (failures_to, mut failures) = unbounded_channel();
        let (notices_to, mut notices) = unbounded_channel();
        let tasks = TaskScope::new();
        let term = TermLink {
            gate: Arc::clone(self.term.gate()),
            key: self.term.key().clone(),
            state: Arc::clone(&self.context.state),
            notices: notices_to,
            task_caller: Some(Arc::clone(&self.context.task_calls)),
        };
        let scope = TermServices {
            term,
            tasks: tasks.child(),
            failures: failures_to,
            directory: self.context.directory.clone(),
            jobs: self.context.jobs.clone(),
            drain: self.context.drain,
        };
        // No `on-standby` call may be alive when the term starts its own work.
        self.standby_tasks.stop().await;
        let (group, programme) = (self.term.key().group.clone(), self.context.programme.clone());
        let mut lifecycle =
            GroupLifecycle::new(group, scope, programme, self.context.health.clone());
        let mut reviews = interval(REVIEW);
        reviews.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let open = self.term.gate().admit().is_ok();
            tokio::select! {
                biased;
                order = self.term.order() => match order {
                    TermOrder::Drain if self.drain(&mut lifecycle).await => self.term.drained(),
                    TermOrder::Drain | TermOrder::Stop => break,
                },
                Some(failure) = failures.recv() => self.on_failure(failure, &mut lifecycle),
                Some(notice) = notices.recv() => self.on_notice(notice),
                outcome = lifecycle.advance(), if open => match outcome {
                    Ok(true) => {}
                    Ok(false) => self.resign("the plugins folder", "it no longer has an action of this group"),
                    Err(failure) => self.on_hook_failure(failure, &mut lifecycle),
                },
                _ = reviews.tick(), if open => self.check_parked(&mut lifecycle),
            }
        }
        self.stop(lifecycle, &tasks).await;
    }

    /// Waits for work under way to finish. Returns false if the term is ordered to stop meanwhile.
    async fn drain(&mut self, lifecycle: &mut GroupLifecycle) -> bool {
        tokio::select! {
            () = lifecycle.drain() => true,
            _ = self.term.order() => false,
        }
    }

    async fn stop(self, lifecycle: GroupLifecycle, tasks: &TaskScope) {
        self.term.gate().close();
        let began = BootTime::now();
        lifecycle.stop().await;
        tasks.stop().await;
        let took = BootTime::now().since(began);
        let key = self.term.key();
        self.context.standby_hooks.end_term(&key.group);
        measure::term_stopped(key.group.as_str(), took);
        let (group, fencing_token, took_ms) = (&key.group, key.fencing_token.0, millis(took));
        if took > self.context.stop_timeout {
            warn!(event = "stopped", %group, fencing_token, took_ms, "the term stopped later than \
             its time budget allows");
        } else {
            info!(event = "stopped", %group, fencing_token, took_ms, "the term has ended");
        }
    }

    /// Hands over if an action is parked here that another host may run.
    fn check_parked(&self, lifecycle: &mut GroupLifecycle) {
        if let Some((action, host)) = lifecycle.review_failures() {
            lifecycle.begin_hand_over();
            self.resign(
                &format!("action {action}"),
                &format!("it is parked here, and has not failed on {host}"),
            );
        }
    }

    fn resign(&self, by: &str, reason: &str) {
        self.term.hand_over(EndCause::Asked { by: by.to_owned(), reason: reason.to_owned() });
    }

    fn on_notice(&self, notice: TermNotice) {
        match notice {
            TermNotice::Resign { action, reason } => {
                self.resign(&format!("action {action}"), &reason)
            }
            TermNotice::Fenced => self.term.fenced(),
        }
    }

    /// If a version has failed on trial, the catalog goes back to the version before. For any other
    /// failure the term ends, or goes on without the action.
    fn on_failure(&self, failure: ActionFailure, lifecycle: &mut GroupLifecycle) {
        if failure.action.on_trial() && self.context.trial_failures.send(failure.clone()).is_ok() {
            return;
        }
        self.report_failure(&failure, lifecycle);
    }

    /// The failure of a hook counts in any case; if its version is on trial, the catalog goes back
    /// as well.
    fn on_hook_failure(&self, failure: ActionFailure, lifecycle: &mut GroupLifecycle) {
        self.report_failure(&failure, lifecycle);
        if failure.action.on_trial() {
            // Without a catalog there is no version to go back to.
            let _ = self.context.trial_failures.send(failure);
        }
    }

    fn report_failure(&self, failure: &ActionFailure, lifecycle: &mut GroupLifecycle) {
        if lifecycle.record_failure(failure) == FailureVerdict::HandOver {
            let (action, reason) = (failure.action.name().to_string(), failure.reason.clone());
            self.term.hand_over(EndCause::ActionFailed { action, reason });
        }
    }
}
