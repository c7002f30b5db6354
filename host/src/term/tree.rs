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
    health::{Health, Verdict},
    performance::Performance,
    standby::Sidelines,
};
use crate::action::{Failure, Jobs, Lobby, Programme, Scope, Tasks};
use soloist_guests::capability::{Calls, Notice, TermLink};
use soloist_heart::{Cause, clock::BootTime};
use soloist_leadership::{Order, Performer, RunningTerm};
use soloist_stores::State;
use soloist_telemetry::measure;
use soloist_text::millis;

/// How often a term looks after what has failed in it.
const LOOK: Duration = Duration::from_millis(500);

/// Performs the actions of this host: what its terms have in common.
#[derive(Clone)]
pub struct Actions {
    /// Where actions keep their state.
    pub state: Arc<dyn State>,
    /// Who has the tasks done that actions call.
    pub tasks: Arc<dyn Calls>,
    /// What this host performs; of that, the group's actions run in its term.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// Where those find the actions who have requests.
    pub lobby: Lobby,
    /// What jobs share.
    pub jobs: Jobs,
    /// Who is asked for an earlier version when one fails on trial.
    pub catalog: UnboundedSender<Failure>,
    /// What has failed on this host.
    pub health: Health,
    /// Where this host stands by.
    pub sidelines: Sidelines,
    /// How long a stop should take at most.
    pub stop_budget: Duration,
    /// How long what was begun may take to finish.
    pub drain: Duration,
}

impl Performer for Actions {
    fn perform(&self, term: RunningTerm) -> BoxFuture<'static, ()> {
        let aside = self.sidelines.leave(&term.key().group);
        TermTree { term, context: self.clone(), aside }.run().boxed()
    }
}

/// A running term.
struct TermTree {
    term: RunningTerm,
    context: Actions,
    /// What this host was doing while it stood by.
    aside: Tasks,
}

impl TermTree {
    /// Runs the actions until the term ends, and returns when nothing of it is alive.
    async fn run(mut self) {
        let (failures_to, mut failures) = unbounded_channel();
        let (notices_to, mut notices) = unbounded_channel();
        let tasks = Tasks::new();
        let term = TermLink {
            gate: Arc::clone(self.term.gate()),
            key: self.term.key().clone(),
            state: Arc::clone(&self.context.state),
            notices: notices_to,
            calls: Some(Arc::clone(&self.context.tasks)),
        };
        let scope = Scope {
            term,
            tasks: tasks.child(),
            failures: failures_to,
            lobby: self.context.lobby.clone(),
            jobs: self.context.jobs.clone(),
            drain: self.context.drain,
        };
        // Nothing that was told of another leader may outlast that.
        self.aside.stop().await;
        let (group, programme) = (self.term.key().group.clone(), self.context.programme.clone());
        let mut performance =
            Performance::new(group, scope, programme, self.context.health.clone());
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let open = self.term.gate().admit().is_ok();
            tokio::select! {
                biased;
                order = self.term.order() => match order {
                    Order::Drain if self.drain(&mut performance).await => self.term.drained(),
                    Order::Drain | Order::Stop => break,
                },
                Some(failure) = failures.recv() => self.judge(failure, &mut performance),
                Some(notice) = notices.recv() => self.pass_on(notice),
                outcome = performance.advance(), if open => match outcome {
                    Ok(true) => {}
                    Ok(false) => self.resign("the plugins folder", "it holds no action of this group any more"),
                    Err(failure) => self.give_up(failure, &mut performance),
                },
                _ = looks.tick(), if open => self.look(&mut performance),
            }
        }
        self.stop(performance, &tasks).await;
    }

    /// Waits for what is in flight. Returns false when told to stop meanwhile.
    async fn drain(&mut self, performance: &mut Performance) -> bool {
        tokio::select! {
            () = performance.drain() => true,
            _ = self.term.order() => false,
        }
    }

    async fn stop(self, performance: Performance, tasks: &Tasks) {
        self.term.gate().close();
        let began = BootTime::now();
        performance.stop().await;
        tasks.stop().await;
        let took = BootTime::now().since(began);
        let key = self.term.key();
        self.context.sidelines.take(&key.group);
        measure::teardown(key.group.as_str(), took);
        let (group, token, took_ms) = (&key.group, key.token.0, millis(took));
        if took > self.context.stop_budget {
            warn!(event = "stopped", %group, token, took_ms, "stopped later than its budget allows");
        } else {
            info!(event = "stopped", %group, token, took_ms, "nothing of the term runs any more");
        }
    }

    /// Hands over to a host that can do what is parked here.
    fn look(&self, performance: &mut Performance) {
        if let Some((action, host)) = performance.look() {
            performance.hold();
            self.resign(
                &format!("action {action}"),
                &format!("it is parked here, and has not failed on {host}"),
            );
        }
    }

    fn resign(&self, by: &str, reason: &str) {
        self.term.hand_over(Cause::Asked { by: by.to_owned(), reason: reason.to_owned() });
    }

    fn pass_on(&self, notice: Notice) {
        match notice {
            Notice::Resign { action, reason } => self.resign(&format!("action {action}"), &reason),
            Notice::Fenced => self.term.fenced(),
        }
    }

    /// A version that failed on trial is replaced by the one before it; for any other
    /// failure the term ends, or goes on without the action.
    fn judge(&self, failure: Failure, performance: &mut Performance) {
        if failure.action.on_trial() && self.context.catalog.send(failure.clone()).is_ok() {
            return;
        }
        self.fail(&failure, performance);
    }

    /// The same for what has to be done before the action starts.
    fn give_up(&self, failure: Failure, performance: &mut Performance) {
        self.fail(&failure, performance);
        if failure.action.on_trial() {
            // Without a catalog there is nothing to go back to.
            let _ = self.context.catalog.send(failure);
        }
    }

    fn fail(&self, failure: &Failure, performance: &mut Performance) {
        if performance.failed(failure) == Verdict::HandOver {
            let (action, reason) = (failure.action.name().to_string(), failure.reason.clone());
            self.term.hand_over(Cause::ActionFailed { action, reason });
        }
    }
}
