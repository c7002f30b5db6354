//! The task tree of one term: its actions, from start to the last joined task.

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

/// How often a term looks after what has failed in it.
const LOOK: Duration = Duration::from_millis(500);

/// Performs the actions of this host: what its terms have in common.
#[derive(Clone)]
pub struct ActionPerformer {
    /// Where actions keep their state.
    pub state: Arc<dyn StateStore>,
    /// Who has the tasks done that actions call.
    pub task_calls: Arc<dyn TaskCaller>,
    /// What this host performs; of that, the group's actions run in its term.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// Where those find the actions who have requests.
    pub directory: ActionDirectory,
    /// What jobs share.
    pub jobs: JobServices,
    /// Who is asked for an earlier version when one fails on trial.
    pub trial_failures: UnboundedSender<ActionFailure>,
    /// What has failed on this host.
    pub health: ActionHealth,
    /// Where this host stands by.
    pub standby_hooks: StandbyHooks,
    /// How long a stop should take at most.
    pub stop_budget: Duration,
    /// How long what was begun may take to finish.
    pub drain: Duration,
}

impl Performer for ActionPerformer {
    fn perform(&self, term: RunningTerm) -> BoxFuture<'static, ()> {
        let aside = self.standby_hooks.begin_term(&term.key().group);
        TermTree { term, context: self.clone(), standby_tasks: aside }.run().boxed()
    }
}

/// A running term.
struct TermTree {
    term: RunningTerm,
    context: ActionPerformer,
    /// What this host was doing while it stood by.
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
            calls: Some(Arc::clone(&self.context.task_calls)),
        };
        let scope = TermServices {
            term,
            tasks: tasks.child(),
            failures: failures_to,
            directory: self.context.directory.clone(),
            jobs: self.context.jobs.clone(),
            drain: self.context.drain,
        };
        // Nothing that was told of another leader may outlast that.
        self.standby_tasks.stop().await;
        let (group, programme) = (self.term.key().group.clone(), self.context.programme.clone());
        let mut performance =
            GroupLifecycle::new(group, scope, programme, self.context.health.clone());
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let open = self.term.gate().admit().is_ok();
            tokio::select! {
                biased;
                order = self.term.order() => match order {
                    TermOrder::Drain if self.drain(&mut performance).await => self.term.drained(),
                    TermOrder::Drain | TermOrder::Stop => break,
                },
                Some(failure) = failures.recv() => self.on_failure(failure, &mut performance),
                Some(notice) = notices.recv() => self.on_notice(notice),
                outcome = performance.advance(), if open => match outcome {
                    Ok(true) => {}
                    Ok(false) => self.resign("the plugins folder", "it holds no action of this group any more"),
                    Err(failure) => self.on_hook_failure(failure, &mut performance),
                },
                _ = looks.tick(), if open => self.check_parked(&mut performance),
            }
        }
        self.stop(performance, &tasks).await;
    }

    /// Waits for what is in flight. Returns false when told to stop meanwhile.
    async fn drain(&mut self, performance: &mut GroupLifecycle) -> bool {
        tokio::select! {
            () = performance.drain() => true,
            _ = self.term.order() => false,
        }
    }

    async fn stop(self, performance: GroupLifecycle, tasks: &TaskScope) {
        self.term.gate().close();
        let began = BootTime::now();
        performance.stop().await;
        tasks.stop().await;
        let took = BootTime::now().since(began);
        let key = self.term.key();
        self.context.standby_hooks.end_term(&key.group);
        measure::teardown(key.group.as_str(), took);
        let (group, token, took_ms) = (&key.group, key.token.0, millis(took));
        if took > self.context.stop_budget {
            warn!(event = "stopped", %group, token, took_ms, "stopped later than its budget allows");
        } else {
            info!(event = "stopped", %group, token, took_ms, "nothing of the term runs any more");
        }
    }

    /// Hands over to a host that can do what is parked here.
    fn check_parked(&self, performance: &mut GroupLifecycle) {
        if let Some((action, host)) = performance.review_failures() {
            performance.begin_hand_over();
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

    /// A version that failed on trial is replaced by the one before it; for any other
    /// failure the term ends, or goes on without the action.
    fn on_failure(&self, failure: ActionFailure, performance: &mut GroupLifecycle) {
        if failure.action.on_trial() && self.context.trial_failures.send(failure.clone()).is_ok() {
            return;
        }
        self.report_failure(&failure, performance);
    }

    /// The same for what has to be done before the action starts.
    fn on_hook_failure(&self, failure: ActionFailure, performance: &mut GroupLifecycle) {
        self.report_failure(&failure, performance);
        if failure.action.on_trial() {
            // Without a catalog there is nothing to go back to.
            let _ = self.context.trial_failures.send(failure);
        }
    }

    fn report_failure(&self, failure: &ActionFailure, performance: &mut GroupLifecycle) {
        if performance.record_failure(failure) == FailureVerdict::HandOver {
            let (action, reason) = (failure.action.name().to_string(), failure.reason.clone());
            self.term.hand_over(EndCause::ActionFailed { action, reason });
        }
    }
}
