//! What actions do while this host stands by: `on-standby`, whenever the leader changes.
//!
//! Invariants:
//! - It is the one exception from "no action outside a term", and has no term: no state,
//!   no token.
//! - Before the first hook or action of a term begins, nothing of this is alive.
//! - An action hears of one change at a time, and of the latest one last.

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
use soloist_stores::Roster;

/// In which groups this host stands by. Clones are about the same host.
#[derive(Clone)]
pub struct StandbyHooks {
    host: Arc<str>,
    groups: Arc<Mutex<BTreeMap<Group, GroupStandby>>>,
    changed: watch::Sender<()>,
}

/// Standing by in one group.
struct GroupStandby {
    /// What the hooks of this stretch pass; closed while this host leads.
    gate: Arc<Gate>,
    tasks: TaskScope,
    /// How many terms of this host have ended before.
    terms: u64,
}

impl GroupStandby {
    fn new(host: &Arc<str>, group: &Group, terms: u64) -> Self {
        let gate = Gate::without_term(group.clone(), Arc::clone(host)).into();
        Self { gate, tasks: TaskScope::new(), terms }
    }
}

impl StandbyHooks {
    /// A host that leads nothing.
    pub fn new(host: Arc<str>) -> Self {
        Self { host, groups: Arc::default(), changed: watch::Sender::new(()) }
    }

    /// This host leads `group` from now on. What it did while it stood by is interrupted;
    /// whoever begins the term waits until that is gone.
    pub(super) fn begin_term(&self, group: &Group) -> TaskScope {
        let mut groups = self.groups();
        let sideline = self.group_mut(&mut groups, group);
        sideline.gate.close();
        sideline.tasks.cancel();
        sideline.tasks.clone()
    }

    /// The term of `group` is over.
    pub(super) fn end_term(&self, group: &Group) {
        let mut groups = self.groups();
        let terms = self.group_mut(&mut groups, group).terms + 1;
        groups.insert(group.clone(), GroupStandby::new(&self.host, group, terms));
        drop(groups);
        self.changed.send_replace(());
    }

    /// Interrupts everything, and returns what has to be waited for.
    fn close_all(&self) -> Vec<TaskScope> {
        let groups = self.groups();
        groups.values().for_each(|sideline| sideline.gate.close());
        groups.values().map(|sideline| sideline.tasks.clone()).collect()
    }

    fn group_mut<'a>(
        &self,
        groups: &'a mut BTreeMap<Group, GroupStandby>,
        group: &Group,
    ) -> &'a mut GroupStandby {
        let new = |group: &Group| GroupStandby::new(&self.host, group, 0);
        groups.entry(group.clone()).or_insert_with_key(new)
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<Group, GroupStandby>> {
        self.groups.lock()
    }
}

/// Tells the actions of a host that stands by who leads.
pub struct StandbyNotifier {
    /// What this host performs.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// What is known of the cluster.
    pub roster: watch::Receiver<Option<Roster>>,
    /// Where this host stands by.
    pub hooks: StandbyHooks,
}

/// What an action was told last.
#[derive(Default)]
struct NotifiedLeader {
    /// The leader; at first nobody, which is no change.
    leader: Option<HookLeader>,
    /// How many terms of this host had ended by then: after another, all is news.
    terms: u64,
    /// Whether it is being told.
    in_progress: bool,
}

/// Calls under way; each says at its end whose it was.
type HookCalls = FuturesUnordered<BoxFuture<'static, Arc<str>>>;

impl StandbyNotifier {
    /// Tells until `stop`; then nothing of it is left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut told: BTreeMap<Arc<str>, NotifiedLeader> = BTreeMap::new();
        let mut calls = HookCalls::new();
        let mut changed = self.hooks.changed.subscribe();
        loop {
            self.start_due_calls(&mut told, &calls);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(action) = calls.next() => {
                    if let Some(told) = told.get_mut(&action) {
                        told.in_progress = false;
                    }
                }
                Ok(()) = self.roster.changed() => {}
                Ok(()) = self.programme.changed() => {}
                // It lives as long as this does.
                Ok(()) = changed.changed() => {}
            }
        }
        for tasks in self.hooks.close_all() {
            tasks.stop().await;
        }
    }

    /// Begins the calls that are due.
    fn start_due_calls(
        &mut self,
        told: &mut BTreeMap<Arc<str>, NotifiedLeader>,
        calls: &HookCalls,
    ) {
        let programme = Arc::clone(&self.programme.borrow_and_update());
        let Some(roster) = self.roster.borrow_and_update().clone() else { return };
        let hooks = || programme.actions.iter().filter(|action| action.has_hooks());
        told.retain(|name, told| told.in_progress || hooks().any(|action| action.name() == name));
        for action in hooks() {
            let told = told.entry(Arc::clone(action.name())).or_default();
            if let Some(call) = self.due_call(action, &roster, told) {
                calls.push(call);
            }
        }
    }

    /// The call that tells `action` who leads, if that is news to it.
    fn due_call(
        &self,
        action: &Arc<Action>,
        roster: &Roster,
        told: &mut NotifiedLeader,
    ) -> Option<BoxFuture<'static, Arc<str>>> {
        let leader = roster.leader(action.group());
        let leader = leader.map(|standing| HookLeader {
            host: standing.candidate.host.clone(),
            token: standing.key.token.0,
        });
        // Of its own leadership it hears in the term.
        if leader.as_ref().is_some_and(|leader| *leader.host == *self.hooks.host) {
            return None;
        }
        let mut groups = self.hooks.groups();
        let sideline = self.hooks.group_mut(&mut groups, action.group());
        let news = told.leader != leader || told.terms != sideline.terms;
        // Checked under the lock, so that whoever begins a term waits for this call.
        if told.in_progress || !news || sideline.gate.is_closed() {
            return None;
        }
        *told = NotifiedLeader { leader: leader.clone(), terms: sideline.terms, in_progress: true };
        let (own, gate) = (Arc::clone(action), Arc::clone(&sideline.gate));
        let links = sideline.tasks.child();
        let call = sideline.tasks.spawn(async move { own.on_standby(gate, leader, links).await });
        let name = Arc::clone(action.name());
        Some(Box::pin(async move {
            // An interrupted call is over as well.
            let _ = call.await;
            name
        }))
    }
}
