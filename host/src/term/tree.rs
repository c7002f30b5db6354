//! The task tree of one term: its actions, from start to the last joined task.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{info, warn};

use super::watchdog::Watch;
use crate::{
    action::{Action, Failure, Running, Scope, Tasks},
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
    /// How long a stop should take at most.
    pub(super) budget: Duration,
}

impl TermTree {
    /// Runs `actions` until the term ends, and returns when nothing of it is alive.
    pub(super) async fn run(mut self, actions: Vec<Arc<Action>>) {
        let (failures_to, mut failures) = unbounded_channel();
        let (notices_to, mut notices) = unbounded_channel();
        let tasks = Tasks::new();
        let term = TermLink {
            gate: Arc::clone(&self.gate),
            key: self.key.clone(),
            state: Arc::clone(&self.state),
            notices: notices_to,
        };
        let scope =
            || Scope { term: term.clone(), tasks: tasks.child(), failures: failures_to.clone() };
        let mut running: Vec<_> = actions.iter().map(|action| action.start(scope())).collect();
        loop {
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(Order::Drain) => {
                        if self.drain(&mut running).await {
                            let _ = self.events.send(Event::Drained { key: self.key.clone() });
                        } else {
                            break;
                        }
                    }
                    // Without its driver a term has no lease.
                    Some(Order::Stop) | None => break,
                },
                Some(failure) = failures.recv() => self.report(failure),
                Some(notice) = notices.recv() => self.pass_on(notice),
            }
        }
        self.stop(running, &tasks).await;
    }

    /// Waits for what is in flight. Returns false when told to stop meanwhile.
    async fn drain(&mut self, running: &mut [Running]) -> bool {
        let drained = join_all(running.iter_mut().map(Running::drain));
        tokio::select! {
            _ = drained => true,
            _ = self.orders.recv() => false,
        }
    }

    async fn stop(self, running: Vec<Running>, tasks: &Tasks) {
        self.gate.close();
        let began = BootTime::now();
        join_all(running.into_iter().map(Running::stop)).await;
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

    fn report(&self, Failure { action, reason }: Failure) {
        let key = self.key.clone();
        let _ = self.events.send(Event::ActionFailed { key, action: action.to_string(), reason });
    }
}
