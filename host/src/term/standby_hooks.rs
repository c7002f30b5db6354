//! Calls `on-standby` of actions while this host stands by, whenever the leader of their group
//! changes.
//!
//! Invariants:
//! - These calls are an exception from "no action outside a term". They have no state and no
//!   fencing token.
//! - When the first hook or action of a term starts, none of these calls is alive.
//! - An action is called for one change at a time, and for the latest one last.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    action::{Action, Programme},
    task_scope::TaskScope,
};
use soloist_guests::plugin::HookLeader;
use soloist_heart::Group;
use soloist_leadership::Gate;
use soloist_stores::{Roster, ThisHost};

/// The groups in which this host stands by. Clones share them.
#[derive(Clone)]
pub struct StandbyHooks {
    host: ThisHost,
    groups: Arc<Mutex<BTreeMap<Group, GroupStandby>>>,
    changed: watch::Sender<()>,
}

/// One group in which this host stands by, from the end of one of its own terms to the next.
struct GroupStandby {
    /// The gate for the effects of the hooks; closed while this host leads.
    gate: Arc<Gate>,
    tasks: TaskScope,
    /// How many terms of this host have ended in this group.
    terms: u64,
}

impl GroupStandby {
    fn new(host: &Arc<str>, group: &Group, terms: u64) -> Self {
        let gate = Gate::without_term(group.clone(), Arc::clone(host)).into();
        Self { gate, tasks: TaskScope::new(), terms }
    }
}

impl StandbyHooks {
    /// A host that leads no group yet.
    pub fn new(host: ThisHost) -> Self {
        Self { host, groups: Arc::default(), changed: watch::Sender::new(()) }
    }

    /// This host leads `group` from now on: its hooks are interrupted. The term must join the
    /// returned tasks before it starts anything.
    pub(super) fn begin_term(&self, group: &Group) -> TaskScope {
        let mut groups = self.groups();
        let standby = self.group_mut(&mut groups, group);
        standby.gate.close();
        standby.tasks.cancel();
        standby.tasks.clone()
    }

    /// This host's term of `group` has ended: it stands by again.
    pub(super) fn end_term(&self, group: &Group) {
        let mut groups = self.groups();
        let terms = self.group_mut(&mut groups, group).terms + 1;
        groups.insert(group.clone(), GroupStandby::new(self.host.name(), group, terms));
        drop(groups);
        self.changed.send_replace(());
    }

    /// Closes all gates, and returns the tasks that are to be stopped.
    fn close_all(&self) -> Vec<TaskScope> {
        let groups = self.groups();
        groups.values().for_each(|standby| standby.gate.close());
        groups.values().map(|standby| standby.tasks.clone()).collect()
    }

    fn group_mut<'a>(
        &self,
        groups: &'a mut BTreeMap<Group, GroupStandby>,
        group: &Group,
    ) -> &'a mut GroupStandby {
        let new = |group: &Group| GroupStandby::new(self.host.name(), group, 0);
        groups.entry(group.clone()).or_insert_with_key(new)
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<Group, GroupStandby>> {
        self.groups.lock()
    }
}

/// Notifies the actions of a host that stands by of who leads.
pub struct StandbyNotifier {
    /// The actions of this host.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// The last roster that was read from the store.
    pub roster: watch::Receiver<Option<Roster>>,
    /// The groups in which this host stands by.
    pub hooks: StandbyHooks,
}

/// The last notification of an action.
#[derive(Default)]
struct NotifiedLeader {
    /// The leader that it named; none at first, so that "nobody leads" is no change then.
    leader: Option<HookLeader>,
    /// How many terms of this host had ended by then. After another one, the action is notified
    /// even if the leader is the same.
    terms: u64,
    /// Whether the call is under way.
    in_progress: bool,
}

/// The calls under way; each resolves to the name of its action.
type HookCalls = FuturesUnordered<BoxFuture<'static, Arc<str>>>;

impl StandbyNotifier {
    /// Notifies until `stop`. When this returns, no call is alive.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut notified: BTreeMap<Arc<str>, NotifiedLeader> = BTreeMap::new();
        let mut calls = HookCalls::new();
        let mut changed = self.hooks.changed.subscribe();
        loop {
            self.start_due_calls(&mut notified, &calls);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(action) = calls.next() => {
                    if let Some(notified) = notified.get_mut(&action) {
                        notified.in_progress = false;
                    }
                }
                Ok(()) = self.roster.changed() => {}
                Ok(()) = self.programme.changed() => {}
                // Its sender lives as long as `self`.
                Ok(()) = changed.changed() => {}
            }
        }
        for tasks in self.hooks.close_all() {
            tasks.stop().await;
        }
    }

    /// Starts the calls that are due.
    fn start_due_calls(
        &mut self,
        notified: &mut BTreeMap<Arc<str>, NotifiedLeader>,
        calls: &HookCalls,
    ) {
        let programme = Arc::clone(&self.programme.borrow_and_update());
        let Some(roster) = self.roster.borrow_and_update().clone() else { return };
        let hooks = || programme.actions.iter().filter(|action| action.has_hooks());
        notified.retain(|name, notified| {
            notified.in_progress || hooks().any(|action| action.name() == name)
        });
        for action in hooks() {
            let notified = notified.entry(Arc::clone(action.name())).or_default();
            if let Some(call) = self.due_call(action, &roster, notified) {
                calls.push(call);
            }
        }
    }

    /// The call that notifies `action` of who leads, if that is news.
    fn due_call(
        &self,
        action: &Arc<Action>,
        roster: &Roster,
        notified: &mut NotifiedLeader,
    ) -> Option<BoxFuture<'static, Arc<str>>> {
        let leader = roster.leader(action.group());
        // When this host leads, the action gets `on-leader` in the term instead.
        if leader.is_some_and(|leader| !self.hooks.host.is_other(&leader.candidate)) {
            return None;
        }
        let leader = leader.map(|standing| HookLeader {
            host: standing.candidate.host.clone(),
            fencing_token: standing.key.fencing_token.0,
        });
        let mut groups = self.hooks.groups();
        let standby = self.hooks.group_mut(&mut groups, action.group());
        let is_news = notified.leader != leader || notified.terms != standby.terms;
        // Checked while `groups` is locked, so that a term that begins now waits for this call.
        if notified.in_progress || !is_news || standby.gate.is_closed() {
            return None;
        }
        *notified =
            NotifiedLeader { leader: leader.clone(), terms: standby.terms, in_progress: true };
        let (own, gate) = (Arc::clone(action), Arc::clone(&standby.gate));
        let links = standby.tasks.child();
        let call = standby.tasks.spawn(async move { own.on_standby(gate, leader, links).await });
        let name = Arc::clone(action.name());
        Some(Box::pin(async move {
            // An error means that the call was interrupted, and so is over as well.
            let _ = call.await;
            name
        }))
    }
}
