//! The running terms: their gates, the deadline that they share, and their orders.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    runtime,
    sync::mpsc::{UnboundedSender, unbounded_channel},
};
use tokio_util::task::TaskTracker;

use crate::{
    gate::{Deadline, Gate},
    performer::{Performer, RunningTerm, TermOrder},
    watchdog::Watchdog,
};
use soloist_heart::{Group, HeartCommand, HeartEvent, LeaderKey, LeaseId, Term, clock::BootTime};

/// The running terms of this host.
pub(crate) struct RunningTerms {
    performer: Arc<dyn Performer>,
    /// The runtime that the performer's futures run on.
    runtime: runtime::Handle,
    running: BTreeMap<Group, (Arc<Gate>, UnboundedSender<TermOrder>)>,
    tasks: TaskTracker,
    watchdog: Watchdog,
    /// The deadline that all gates of one session share, with the lease of that session.
    deadline: (LeaseId, Arc<Deadline>),
    /// Where terms report to the driver.
    events: UnboundedSender<HeartEvent>,
}

impl RunningTerms {
    /// No terms yet. Each will run on `runtime`, watched by `watchdog`.
    pub(crate) fn new(
        performer: Arc<dyn Performer>,
        runtime: runtime::Handle,
        watchdog: Watchdog,
        events: UnboundedSender<HeartEvent>,
    ) -> Self {
        let deadline = (LeaseId(0), Arc::new(Deadline::new(BootTime::ZERO)));
        let (running, tasks) = (BTreeMap::new(), TaskTracker::new());
        Self { performer, runtime, running, tasks, watchdog, deadline, events }
    }

    /// Begins the term of `host` under `key`, which lasts until `deadline` if it is not extended.
    pub(crate) fn begin(&mut self, key: &LeaderKey, host: &Arc<str>, deadline: BootTime) {
        if self.deadline.0 != key.lease {
            self.deadline = (key.lease, Arc::new(Deadline::new(deadline)));
        }
        self.extend(key.lease, deadline);
        let (group, host) = (key.group.clone(), Arc::clone(host));
        let term = Term { group: group.clone(), host, fencing_token: key.fencing_token };
        let gate = Arc::new(Gate::new(term, Arc::clone(&self.deadline.1)));
        let (order, orders) = unbounded_channel();
        let watch = self.watchdog.watch(Arc::clone(&gate));
        let (key, events) = (key.clone(), self.events.clone());
        let term = RunningTerm::new(key.clone(), Arc::clone(&gate), orders, events.clone());
        let performance = self.performer.perform(term);
        let tree = async move {
            performance.await;
            drop(watch);
            // A driver that no longer listens has ended.
            let _ = events.send(HeartEvent::Stopped { key });
        };
        self.tasks.spawn_on(tree, &self.runtime);
        self.running.insert(group, (gate, order));
    }

    /// Extends all terms under `lease` until `deadline`.
    pub(crate) fn extend(&self, lease: LeaseId, deadline: BootTime) {
        let (of, shared) = &self.deadline;
        // The gates of an earlier session must never be extended by this one.
        if *of == lease && !shared.extend(deadline) {
            // The deadline passed before this thread got to run, and the watchdog may have acted on
            // that. A send error means that the driver itself is ending.
            let _ = self.events.send(HeartEvent::DeadlinePassed { lease });
        }
    }

    /// Turns the gate if `command` drains or stops a term.
    pub(crate) fn close_gate(&self, command: &HeartCommand) {
        let (HeartCommand::Drain { key, cause } | HeartCommand::Stop { key, cause }) = command
        else {
            return;
        };
        let Some((gate, _)) = self.running.get(&key.group) else { return };
        match command {
            HeartCommand::Drain { .. } => gate.drain(),
            _ if cause.drains() => gate.close(),
            _ => gate.revoke(),
        }
    }

    /// Sends an order to the term.
    pub(crate) fn order(&self, key: &LeaderKey, order: TermOrder) {
        if let Some((_, orders)) = self.running.get(&key.group) {
            // A term that no longer listens is already stopping.
            let _ = orders.send(order);
        }
    }

    /// Removes the term of `group`, which has ended.
    pub(crate) fn forget(&mut self, group: &Group) {
        self.running.remove(group);
    }

    /// Resolves when nothing of any term is alive.
    pub(crate) async fn join(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
