//! The terms that run: their gates, the deadline they share, and what they are told.

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

/// The terms of this host.
pub(crate) struct RunningTerms {
    performer: Arc<dyn Performer>,
    /// The runtime that it performs on.
    runtime: runtime::Handle,
    running: BTreeMap<Group, (Arc<Gate>, UnboundedSender<TermOrder>)>,
    tasks: TaskTracker,
    watchdog: Watchdog,
    /// The deadline that all gates of one session share, and whose it is.
    deadline: (LeaseId, Arc<Deadline>),
    /// Where the driver hears of a term.
    events: UnboundedSender<HeartEvent>,
}

impl RunningTerms {
    /// None yet; each will run on `runtime`, under the eyes of `watchdog`.
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

    /// Begins the term of `host` under `key`, which it has until `deadline`.
    pub(crate) fn begin(&mut self, key: &LeaderKey, host: &Arc<str>, deadline: BootTime) {
        if self.deadline.0 != key.lease {
            self.deadline = (key.lease, Arc::new(Deadline::new(deadline)));
        }
        self.extend(key.lease, deadline);
        let (group, host) = (key.group.clone(), Arc::clone(host));
        let term = Term { group: group.clone(), host, token: key.token };
        let gate = Arc::new(Gate::new(term, Arc::clone(&self.deadline.1)));
        let (order, orders) = unbounded_channel();
        let watch = self.watchdog.watch(Arc::clone(&gate));
        let (key, events) = (key.clone(), self.events.clone());
        let term = RunningTerm::new(key.clone(), Arc::clone(&gate), orders, events.clone());
        let performance = self.performer.perform(term);
        let tree = async move {
            performance.await;
            drop(watch);
            // A driver that does not listen any more has ended.
            let _ = events.send(HeartEvent::Stopped { key });
        };
        self.tasks.spawn_on(tree, &self.runtime);
        self.running.insert(group, (gate, order));
    }

    /// All terms under `lease` have until `deadline`.
    pub(crate) fn extend(&self, lease: LeaseId, deadline: BootTime) {
        let (of, shared) = &self.deadline;
        // Gates of a former session must never be extended by this one.
        if *of == lease && !shared.extend(deadline) {
            // The clock was faster than this thread, and the watchdog may have
            // acted on it. An error means that the driver itself is ending.
            let _ = self.events.send(HeartEvent::DeadlinePassed { lease });
        }
    }

    /// Closes the gate as `command` asks, if it asks that.
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

    /// Tells the term what is to be done.
    pub(crate) fn order(&self, key: &LeaderKey, order: TermOrder) {
        if let Some((_, orders)) = self.running.get(&key.group) {
            // A tree that does not listen any more is stopping by itself.
            let _ = orders.send(order);
        }
    }

    /// The term of `group` is over.
    pub(crate) fn forget(&mut self, group: &Group) {
        self.running.remove(group);
    }

    /// Resolves when nothing of any term is alive.
    pub(crate) async fn join(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
