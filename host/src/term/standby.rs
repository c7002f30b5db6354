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

use crate::action::{Action, Programme, Tasks};
use soloist_guests::plugin::Leader;
use soloist_heart::Group;
use soloist_leadership::Gate;
use soloist_stores::Roster;

/// In which groups this host stands by. Clones are about the same host.
#[derive(Clone)]
pub struct Sidelines {
    host: Arc<str>,
    groups: Arc<Mutex<BTreeMap<Group, Sideline>>>,
    changed: watch::Sender<()>,
}

/// Standing by in one group.
struct Sideline {
    /// What the hooks of this stretch pass; closed while this host leads.
    gate: Arc<Gate>,
    tasks: Tasks,
    /// How many terms of this host have ended before.
    terms: u64,
}

impl Sideline {
    fn new(host: &Arc<str>, group: &Group, terms: u64) -> Self {
        let gate = Gate::outside(group.clone(), Arc::clone(host)).into();
        Self { gate, tasks: Tasks::new(), terms }
    }
}

impl Sidelines {
    /// A host that leads nothing.
    pub fn new(host: Arc<str>) -> Self {
        Self { host, groups: Arc::default(), changed: watch::Sender::new(()) }
    }

    /// This host leads `group` from now on. What it did while it stood by is interrupted;
    /// whoever begins the term waits until that is gone.
    pub(super) fn leave(&self, group: &Group) -> Tasks {
        let mut groups = self.groups();
        let sideline = self.of(&mut groups, group);
        sideline.gate.close();
        sideline.tasks.cancel();
        sideline.tasks.clone()
    }

    /// The term of `group` is over.
    pub(super) fn take(&self, group: &Group) {
        let mut groups = self.groups();
        let terms = self.of(&mut groups, group).terms + 1;
        groups.insert(group.clone(), Sideline::new(&self.host, group, terms));
        drop(groups);
        self.changed.send_replace(());
    }

    /// Interrupts everything, and returns what has to be waited for.
    fn end(&self) -> Vec<Tasks> {
        let groups = self.groups();
        groups.values().for_each(|sideline| sideline.gate.close());
        groups.values().map(|sideline| sideline.tasks.clone()).collect()
    }

    fn of<'a>(&self, groups: &'a mut BTreeMap<Group, Sideline>, group: &Group) -> &'a mut Sideline {
        let new = |group: &Group| Sideline::new(&self.host, group, 0);
        groups.entry(group.clone()).or_insert_with_key(new)
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<Group, Sideline>> {
        self.groups.lock()
    }
}

/// Tells the actions of a host that stands by who leads.
pub struct Standby {
    /// What this host performs.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// What is known of the cluster.
    pub roster: watch::Receiver<Option<Roster>>,
    /// Where this host stands by.
    pub sidelines: Sidelines,
}

/// What an action was told last.
#[derive(Default)]
struct Told {
    /// The leader; at first nobody, which is no change.
    leader: Option<Leader>,
    /// How many terms of this host had ended by then: after another, all is news.
    terms: u64,
    /// Whether it is being told.
    busy: bool,
}

/// Calls under way; each says at its end whose it was.
type Calls = FuturesUnordered<BoxFuture<'static, Arc<str>>>;

impl Standby {
    /// Tells until `stop`; then nothing of it is left.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut told: BTreeMap<Arc<str>, Told> = BTreeMap::new();
        let mut calls = Calls::new();
        let mut changed = self.sidelines.changed.subscribe();
        loop {
            self.tell(&mut told, &calls);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(action) = calls.next() => {
                    if let Some(told) = told.get_mut(&action) {
                        told.busy = false;
                    }
                }
                Ok(()) = self.roster.changed() => {}
                Ok(()) = self.programme.changed() => {}
                // It lives as long as this does.
                Ok(()) = changed.changed() => {}
            }
        }
        for tasks in self.sidelines.end() {
            tasks.stop().await;
        }
    }

    /// Begins the calls that are due.
    fn tell(&mut self, told: &mut BTreeMap<Arc<str>, Told>, calls: &Calls) {
        let programme = Arc::clone(&self.programme.borrow_and_update());
        let Some(roster) = self.roster.borrow_and_update().clone() else { return };
        let hooks = || programme.actions.iter().filter(|action| action.has_hooks());
        told.retain(|name, told| told.busy || hooks().any(|action| action.name() == name));
        for action in hooks() {
            let told = told.entry(Arc::clone(action.name())).or_default();
            if let Some(call) = self.due(action, &roster, told) {
                calls.push(call);
            }
        }
    }

    /// The call that tells `action` who leads, if that is news to it.
    fn due(
        &self,
        action: &Arc<Action>,
        roster: &Roster,
        told: &mut Told,
    ) -> Option<BoxFuture<'static, Arc<str>>> {
        let leader = roster.leader(action.group());
        let leader = leader.map(|standing| Leader {
            host: standing.candidate.host.clone(),
            token: standing.key.token.0,
        });
        // Of its own leadership it hears in the term.
        if leader.as_ref().is_some_and(|leader| *leader.host == *self.sidelines.host) {
            return None;
        }
        let mut groups = self.sidelines.groups();
        let sideline = self.sidelines.of(&mut groups, action.group());
        let news = told.leader != leader || told.terms != sideline.terms;
        // Checked under the lock, so that whoever begins a term waits for this call.
        if told.busy || !news || sideline.gate.is_closed() {
            return None;
        }
        *told = Told { leader: leader.clone(), terms: sideline.terms, busy: true };
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
