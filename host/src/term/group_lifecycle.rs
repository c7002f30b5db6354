//! The sequence of what runs under a term: first the hooks of a group, then its actions, without
//! those that are parked.

use std::{collections::BTreeSet, future::pending, sync::Arc};

use tokio::sync::watch;

use super::health::{ActionHealth, FailureVerdict};
use crate::action::{
    Action, ActionFailure, GroupTerm, InactiveActions, LeaderHooks, Programme, TermServices,
};
use soloist_heart::{Group, clock::BootTime};

/// Runs a group's part of the programme under one term.
pub(super) struct GroupLifecycle {
    group: Group,
    scope: TermServices,
    programme: watch::Receiver<Arc<Programme>>,
    health: ActionHealth,
    stage: GroupTerm,
    /// The `on-leader` hooks that run now.
    hooks: Option<LeaderHooks>,
    /// The actions whose `on-leader` has not succeeded yet in this term. They do not start.
    awaiting_hooks: BTreeSet<Arc<str>>,
    /// Whether the leadership is being handed over, so that nothing more is started.
    handing_over: bool,
}

impl GroupLifecycle {
    /// Nothing runs yet; the first [`GroupLifecycle::advance`] starts the hooks.
    pub(super) fn new(
        group: Group,
        scope: TermServices,
        mut programme: watch::Receiver<Arc<Programme>>,
        health: ActionHealth,
    ) -> Self {
        let stage = GroupTerm::new(scope.clone());
        let actions = programme.borrow_and_update().for_group(&group);
        let hooked = actions.iter().filter(|action| action.has_hooks());
        let awaiting_hooks = hooked.map(|action| Arc::clone(action.name())).collect();
        // So that the first `advance` applies the programme at once.
        programme.mark_changed();
        Self {
            group,
            scope,
            programme,
            health,
            stage,
            hooks: None,
            awaiting_hooks,
            handing_over: false,
        }
    }

    /// Starts and stops what the programme says. Returns whether the group has any action.
    pub(super) fn apply_programme(&mut self) -> bool {
        let programme = Arc::clone(&self.programme.borrow_and_update());
        self.health.apply_programme(&programme);
        let all = programme.for_group(&self.group);
        if self.handing_over || self.hooks.is_some() {
            return !all.is_empty();
        }
        let parked = self.health.park_failed(&all, BootTime::now());
        self.awaiting_hooks.retain(|name| {
            let find = |action: &&Arc<Action>| action.name() == name;
            all.iter().find(find).is_some_and(|action| action.has_hooks())
        });
        let waits = |action: &&Arc<Action>| self.awaiting_hooks.contains(action.name());
        let active = all.iter().filter(|it| !parked.contains_key(it.name()));
        let due: Vec<_> = active.filter(waits).cloned().collect();
        if due.is_empty() {
            let refused = programme.refused.clone();
            self.stage.set_with_inactive(&all, &InactiveActions { parked, refused });
        } else {
            self.hooks = Some(LeaderHooks::start(&due, &self.scope));
        }
        !all.is_empty()
    }

    /// Waits until the hooks have returned or the programme has changed, and applies the programme.
    /// Returns whether the group has any action.
    ///
    /// # Errors
    /// A hook has failed; the others go on.
    pub(super) async fn advance(&mut self) -> Result<bool, ActionFailure> {
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
            // Without a catalog the programme never changes.
            Ok(()) = programme.changed() => return Ok(self.apply_programme()),
        }
        if let Some(hooks) = self.hooks.take() {
            for action in hooks.succeeded() {
                self.awaiting_hooks.remove(action.name());
            }
        }
        Ok(self.apply_programme())
    }

    /// Records a failure. If the verdict is to park, the term goes on without the action.
    pub(super) fn record_failure(&mut self, failure: &ActionFailure) -> FailureVerdict {
        let verdict = self.health.record_failure(failure, BootTime::now());
        match verdict {
            FailureVerdict::HandOver => self.handing_over = true,
            FailureVerdict::Park => drop(self.apply_programme()),
        }
        verdict
    }

    /// Nothing more is started from now on.
    pub(super) fn begin_hand_over(&mut self) {
        self.handing_over = true;
    }

    /// Forgives failures, starts parked actions again that are due, and returns an action that is
    /// parked here and a host on which it may run, if there is one.
    pub(super) fn review_failures(&mut self) -> Option<(Arc<str>, String)> {
        if !self.health.has_failures(&self.group) {
            return None;
        }
        self.health.forgive_recovered(BootTime::now());
        self.apply_programme();
        let actions = self.programme.borrow().for_group(&self.group);
        self.health.better_host(&self.group, &actions)
    }

    /// Ends the actions gracefully; hooks are interrupted.
    pub(super) async fn drain(&mut self) {
        self.handing_over = true;
        if let Some(hooks) = self.hooks.take() {
            hooks.stop().await;
        }
        self.stage.drain().await;
    }

    /// Ends everything at once; nothing is alive when this resolves.
    pub(super) async fn stop(self) {
        if let Some(hooks) = self.hooks {
            hooks.stop().await;
        }
        self.stage.stop().await;
        self.health.term_ended(&self.group);
    }
}
