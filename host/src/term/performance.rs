//! What is performed under a term: hooks first, then the actions, without those that are
//! parked.

use std::{collections::BTreeSet, future::pending, sync::Arc};

use tokio::sync::watch;

use super::health::{Health, Verdict};
use crate::action::{Absent, Action, Failure, Hooks, Programme, Scope, Stage};
use soloist_heart::{Group, clock::BootTime};

/// The group's part of the programme, under one term.
pub(super) struct Performance {
    group: Group,
    scope: Scope,
    programme: watch::Receiver<Arc<Programme>>,
    health: Health,
    stage: Stage,
    /// Those that run now.
    hooks: Option<Hooks>,
    /// Actions whose `on-leader` has not returned well in this term: they do not start.
    unhooked: BTreeSet<Arc<str>>,
    /// Whether the leadership is being handed over, so that nothing is to begin.
    held: bool,
}

impl Performance {
    /// Nothing yet; it will begin with the hooks.
    pub(super) fn new(
        group: Group,
        scope: Scope,
        mut programme: watch::Receiver<Arc<Programme>>,
        health: Health,
    ) -> Self {
        let stage = Stage::new(scope.clone());
        let actions = programme.borrow_and_update().of(&group);
        let hooked = actions.iter().filter(|action| action.has_hooks());
        let unhooked = hooked.map(|action| Arc::clone(action.name())).collect();
        // So that the first advance brings it about.
        programme.mark_changed();
        Self { group, scope, programme, health, stage, hooks: None, unhooked, held: false }
    }

    /// Has what the programme says performed. Whether there is anything.
    pub(super) fn arrange(&mut self) -> bool {
        let programme = Arc::clone(&self.programme.borrow_and_update());
        self.health.compare(&programme);
        let all = programme.of(&self.group);
        if self.held || self.hooks.is_some() {
            return !all.is_empty();
        }
        let parked = self.health.park(&all, BootTime::now());
        self.unhooked.retain(|name| {
            let find = |action: &&Arc<Action>| action.name() == name;
            all.iter().find(find).is_some_and(|action| action.has_hooks())
        });
        let waits = |action: &&Arc<Action>| self.unhooked.contains(action.name());
        let active = all.iter().filter(|it| !parked.contains_key(it.name()));
        let due: Vec<_> = active.filter(waits).cloned().collect();
        if due.is_empty() {
            let refused = programme.refused.clone();
            self.stage.arrange(&all, &Absent { parked, refused });
        } else {
            self.hooks = Some(Hooks::begin(&due, &self.scope));
        }
        !all.is_empty()
    }

    /// Waits until hooks have returned or the programme is another, and does what follows.
    /// Whether there is anything to perform.
    ///
    /// # Errors
    /// When a hook has failed; the others run on.
    pub(super) async fn advance(&mut self) -> Result<bool, Failure> {
        let Self { hooks, programme, .. } = self;
        let returned = async {
            match hooks {
                Some(hooks) => hooks.done().await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            outcome = returned => outcome?,
            // Without a catalog nothing changes.
            Ok(()) = programme.changed() => return Ok(self.arrange()),
        }
        if let Some(hooks) = self.hooks.take() {
            for action in hooks.well() {
                self.unhooked.remove(action.name());
            }
        }
        Ok(self.arrange())
    }

    /// Takes a failure in. If the term goes on, it is without the action.
    pub(super) fn failed(&mut self, failure: &Failure) -> Verdict {
        let verdict = self.health.failed(failure, BootTime::now());
        match verdict {
            Verdict::HandOver => self.held = true,
            Verdict::Park => drop(self.arrange()),
        }
        verdict
    }

    /// Nothing is to begin any more.
    pub(super) fn hold(&mut self) {
        self.held = true;
    }

    /// Looks after what has failed: what is forgiven, what is tried again, and what another
    /// host could do better: that host's name, and the action.
    pub(super) fn look(&mut self) -> Option<(Arc<str>, String)> {
        if !self.health.concerns(&self.group) {
            return None;
        }
        self.health.look(BootTime::now());
        self.arrange();
        let actions = self.programme.borrow().of(&self.group);
        self.health.better(&self.group, &actions)
    }

    /// Ends gracefully, as [`Stage::drain`] does; hooks are interrupted.
    pub(super) async fn drain(&mut self) {
        self.held = true;
        if let Some(hooks) = self.hooks.take() {
            hooks.stop().await;
        }
        self.stage.drain().await;
    }

    /// Ends at once; nothing is alive when this resolves.
    pub(super) async fn stop(self) {
        if let Some(hooks) = self.hooks {
            hooks.stop().await;
        }
        self.stage.stop().await;
        self.health.over(&self.group);
    }
}
