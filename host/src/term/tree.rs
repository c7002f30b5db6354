//! The task tree of one term: its actions, from start to the last joined task.

use std::{sync::Arc, time::Duration};

use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    watch,
};
use tracing::{info, warn};

use super::watchdog::Watch;
use crate::{
    action::{Failure, Lobby, Programme, Scope, Stage, Tasks},
    capability::{Gate, Notice, TermLink},
    clock::BootTime,
    election::{Event, LeaderKey},
    measure,
    store::State,
    words::millis,
};

/// What the driver asks of a tree. The gate it has turned itself, before it asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Drain,
    Stop,
}

/// A running term.
pub(super) struct TermTree {
    pub(super) key: LeaderKey,
    pub(super) gate: Arc<Gate>,
    pub(super) state: Arc<dyn State>,
    pub(super) orders: UnboundedReceiver<Order>,
    pub(super) events: UnboundedSender<Event>,
    /// Under the watchdog's eyes until the tree is gone.
    pub(super) watch: Watch,
    /// What this host performs; of that, the group's actions run here.
    pub(super) programme: watch::Receiver<Arc<Programme>>,
    /// Where those find the actions who have requests.
    pub(super) lobby: Lobby,
    /// Who is asked for an earlier version when one fails on trial.
    pub(super) catalog: UnboundedSender<Failure>,
    /// How long a stop should take at most.
    pub(super) budget: Duration,
    /// How long what was begun may take to finish.
    pub(super) drain: Duration,
}

impl TermTree {
    /// Runs the actions until the term ends, and returns when nothing of it is alive.
    pub(super) async fn run(mut self) {
        let (failures_to, mut failures) = unbounded_channel();
        let (notices_to, mut notices) = unbounded_channel();
        let tasks = Tasks::new();
        let term = TermLink {
            gate: Arc::clone(&self.gate),
            key: self.key.clone(),
            state: Arc::clone(&self.state),
            notices: notices_to,
        };
        let scope = Scope {
            term,
            tasks: tasks.child(),
            failures: failures_to,
            lobby: self.lobby.clone(),
            drain: self.drain,
        };
        let mut stage = Stage::new(scope);
        self.set(&mut stage);
        loop {
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(Order::Drain) => {
                        if self.drain(&mut stage).await {
                            let _ = self.events.send(Event::Drained { key: self.key.clone() });
                        } else {
                            break;
                        }
                    }
                    // Without its driver a term has no lease.
                    Some(Order::Stop) | None => break,
                },
                Some(failure) = failures.recv() => self.judge(failure),
                Some(notice) = notices.recv() => self.pass_on(notice),
                Ok(()) = self.programme.changed(), if self.gate.admit().is_ok() => {
                    self.set(&mut stage);
                }
            }
        }
        self.stop(stage, &tasks).await;
    }

    /// Has what the programme says performed.
    fn set(&mut self, stage: &mut Stage) {
        let programme = Arc::clone(&self.programme.borrow_and_update());
        let actions = programme.of(&self.key.group);
        stage.set(&actions);
        if actions.is_empty() {
            let _ = self.events.send(Event::ResignAsked {
                key: self.key.clone(),
                by: "the plugins folder".to_owned(),
                reason: "it holds no action of this group any more".to_owned(),
            });
        }
    }

    /// Waits for what is in flight. Returns false when told to stop meanwhile.
    async fn drain(&mut self, stage: &mut Stage) -> bool {
        tokio::select! {
            () = stage.drain() => true,
            _ = self.orders.recv() => false,
        }
    }

    async fn stop(self, stage: Stage, tasks: &Tasks) {
        self.gate.close();
        let began = BootTime::now();
        stage.stop().await;
        tasks.stop().await;
        let took = BootTime::now().since(began);
        drop(self.watch);
        measure::teardown(self.key.group.as_str(), took);
        let (group, token, took_ms) = (&self.key.group, self.key.token.0, millis(took));
        if took > self.budget {
            warn!(event = "stopped", %group, token, took_ms, "stopped later than its budget allows");
        } else {
            info!(event = "stopped", %group, token, took_ms, "nothing of the term runs any more");
        }
        let _ = self.events.send(Event::Stopped { key: self.key });
    }

    fn pass_on(&self, notice: Notice) {
        let key = self.key.clone();
        let _ = self.events.send(match notice {
            Notice::Resign { action, reason } => {
                Event::ResignAsked { key, by: format!("action {action}"), reason }
            }
            Notice::Fenced => Event::KeyGone { key },
        });
    }

    /// A version that failed on trial is replaced by the one before it; any other failure
    /// ends the term.
    fn judge(&self, failure: Failure) {
        let failure = match failure.action.on_trial().then(|| self.catalog.send(failure.clone())) {
            Some(Ok(())) => return,
            // Without a catalog there is nothing to go back to.
            Some(Err(_)) | None => failure,
        };
        let (key, action) = (self.key.clone(), failure.action.name().to_string());
        let _ = self.events.send(Event::ActionFailed { key, action, reason: failure.reason });
    }
}
