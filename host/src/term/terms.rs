//! The terms that run: their gates, the deadline they share, and what they are told.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    runtime,
    sync::mpsc::{UnboundedSender, unbounded_channel},
};
use tokio_util::task::TaskTracker;

use super::{
    tree::{Order, TermContext, TermTree},
    watchdog::Watchdog,
};
use crate::{
    capability::{Deadline, Gate},
    clock::BootTime,
    election::{Command, Event, Group, LeaderKey, LeaseId, Term},
};

/// The terms of this host.
pub(super) struct Terms {
    context: TermContext,
    /// The runtime that actions run on.
    guests: runtime::Handle,
    running: BTreeMap<Group, (Arc<Gate>, UnboundedSender<Order>)>,
    trees: TaskTracker,
    watchdog: Watchdog,
    /// The deadline that all gates of one session share, and whose it is.
    deadline: (LeaseId, Arc<Deadline>),
}

impl Terms {
    /// None yet; each will run on `guests`, under the eyes of `watchdog`.
    pub(super) fn new(context: TermContext, guests: runtime::Handle, watchdog: Watchdog) -> Self {
        let deadline = (LeaseId(0), Arc::new(Deadline::new(BootTime::ZERO)));
        let (running, trees) = (BTreeMap::new(), TaskTracker::new());
        Self { context, guests, running, trees, watchdog, deadline }
    }

    /// Begins the term of `host` under `key`, which it has until `deadline`.
    pub(super) fn begin(&mut self, key: &LeaderKey, host: &Arc<str>, deadline: BootTime) {
        if self.deadline.0 != key.lease {
            self.deadline = (key.lease, Arc::new(Deadline::new(deadline)));
        }
        self.extend(key.lease, deadline);
        let (group, host) = (key.group.clone(), Arc::clone(host));
        let term = Term { group: group.clone(), host, token: key.token };
        let gate = Arc::new(Gate::new(term, Arc::clone(&self.deadline.1)));
        let (order, orders) = unbounded_channel();
        let tree = TermTree {
            key: key.clone(),
            gate: Arc::clone(&gate),
            orders,
            watch: self.watchdog.watch(Arc::clone(&gate)),
            aside: self.context.sidelines.leave(&group),
            context: self.context.clone(),
        };
        self.trees.spawn_on(tree.run(), &self.guests);
        self.running.insert(group, (gate, order));
    }

    /// All terms under `lease` have until `deadline`.
    pub(super) fn extend(&self, lease: LeaseId, deadline: BootTime) {
        let (of, shared) = &self.deadline;
        // Gates of a former session must never be extended by this one.
        if *of == lease && !shared.extend(deadline) {
            // The clock was faster than this thread, and the watchdog may have
            // acted on it. An error means that the driver itself is ending.
            let _ = self.context.events.send(Event::DeadlinePassed { lease });
        }
    }

    /// Closes the gate as `command` asks, if it asks that.
    pub(super) fn turn_gate(&self, command: &Command) {
        let (Command::Drain { key, cause } | Command::Stop { key, cause }) = command else {
            return;
        };
        let Some((gate, _)) = self.running.get(&key.group) else { return };
        match command {
            Command::Drain { .. } => gate.drain(),
            _ if cause.drains() => gate.close(),
            _ => gate.revoke(),
        }
    }

    /// Tells the term what is to be done.
    pub(super) fn order(&self, key: &LeaderKey, order: Order) {
        if let Some((_, orders)) = self.running.get(&key.group) {
            // A tree that does not listen any more is stopping by itself.
            let _ = orders.send(order);
        }
    }

    /// The term of `group` is over.
    pub(super) fn forget(&mut self, group: &Group) {
        self.running.remove(group);
    }

    /// Resolves when nothing of any term is alive.
    pub(super) async fn join(&self) {
        self.trees.close();
        self.trees.wait().await;
    }
}
