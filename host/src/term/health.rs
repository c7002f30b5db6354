//! Which actions have failed on this host, and what follows from that.
//!
//! A host on which an action fails hands over to a host on which it has not failed. Then it stands
//! back: for the pause `cooldown` it does not stand for election, as long as such a host does. If
//! there is no such host, the action is *parked*: the leader goes on with the rest of the group,
//! without a hand-over, and starts the action again after a long pause.
//!
//! A plugin that a host refuses counts as failed there: the host runs without it, so it could not
//! do better.
//!
//! Invariants:
//! - A failure causes at most one hand-over by each host: it is remembered until the action has run
//!   well for a while, or is replaced by another version.
//! - Every host knows of it: the failures are part of the host's entry among the members.

mod candidates;
mod failure_record;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{info, warn};

use self::failure_record::FailureRecord;
use crate::action::{Action, ActionFailure, Programme, RefusedPlugin};
use soloist_heart::{
    Group,
    clock::{BootTime, unix_ms},
};
use soloist_stores::{FailedAction, Roster, ThisHost};
use soloist_text::truncate;

/// How many refused plugins are published, and how many bytes of the reason of each.
const REFUSED_MAX: usize = 100;
const REASON_MAX: usize = 300;

/// The failed actions that this host publishes in the store, by name.
pub type FailureReport = BTreeMap<String, FailedAction>;

/// What a term does about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureVerdict {
    /// It hands over: the action may run on another host.
    HandOver,
    /// It goes on without the action: no other host could do better.
    Park,
}

/// Remembers the failures of a host. Clones share them.
#[derive(Clone)]
pub struct ActionHealth {
    host: ThisHost,
    cooldown: Duration,
    roster: watch::Receiver<Option<Roster>>,
    failures: Arc<Mutex<BTreeMap<Arc<str>, FailureRecord>>>,
    /// The plugins that this host refuses, which are published as well.
    refused: Arc<Mutex<FailureReport>>,
    report: watch::Sender<FailureReport>,
}

impl ActionHealth {
    /// Nothing has failed yet on `host`. After a failure it stands back for `cooldown`.
    #[must_use]
    pub fn new(
        host: ThisHost,
        cooldown: Duration,
        roster: watch::Receiver<Option<Roster>>,
    ) -> Self {
        let report = watch::Sender::new(FailureReport::new());
        Self { host, cooldown, roster, failures: Arc::default(), refused: Arc::default(), report }
    }

    /// What this host is to publish in the store, as it changes.
    pub fn report(&self) -> watch::Receiver<FailureReport> {
        self.report.subscribe()
    }

    /// Records a failure, and decides what the term does about it.
    pub(super) fn record_failure(&self, failure: &ActionFailure, now: BootTime) -> FailureVerdict {
        let name = Arc::clone(failure.action.name());
        let park = !self.another_can(failure.action.group(), &name);
        let record = FailureRecord {
            action: Arc::clone(&failure.action),
            reason: failure.reason.clone(),
            at: now,
            at_unix: unix_ms(),
            parked: false,
            retried: None,
        };
        self.failures.lock().insert(name, record);
        self.publish();
        if park { FailureVerdict::Park } else { FailureVerdict::HandOver }
    }

    /// Forgets the failures of actions that were changed or removed, and records the plugins that
    /// are refused. Called twice a second, so it publishes only if something has changed.
    pub(super) fn apply_programme(&self, programme: &Programme) {
        let refused_changed = self.update_refused(&programme.refused);
        let is_there =
            |action: &Action| programme.actions.iter().any(|other| other.is_same_version(action));
        let mut forgotten = false;
        self.failures.lock().retain(|name, failed| {
            let stays = is_there(&failed.action);
            if !stays {
                info!(event = "changed", action = %name, "the plugin or settings of action {name} \
                 changed: its earlier failure no longer counts");
            }
            forgotten |= !stays;
            stays
        });
        if refused_changed || forgotten {
            self.publish();
        }
    }

    /// Whether the refused plugins, or the reasons, are others than before. A plugin whose reason
    /// is the same keeps the time at which it was first refused.
    fn update_refused(&self, all: &[RefusedPlugin]) -> bool {
        let all = &all[..all.len().min(REFUSED_MAX)];
        let mut refused = self.refused.lock();
        let is_known = |it: &RefusedPlugin| {
            let known = refused.get(&it.name);
            known.is_some_and(|known| known.reason == truncate(&it.reason, REASON_MAX))
        };
        if refused.len() == all.len() && all.iter().all(is_known) {
            return false;
        }
        let mut before = std::mem::take(&mut *refused);
        let entry = |it: &RefusedPlugin| {
            let reason = truncate(&it.reason, REASON_MAX).to_owned();
            let new = FailedAction { reason, at: unix_ms(), parked: false };
            let known = before.remove(&it.name).filter(|known| known.reason == new.reason);
            (it.name.clone(), known.unwrap_or(new))
        };
        *refused = all.iter().map(entry).collect();
        true
    }

    /// Those of `actions` that this host, which leads, goes on without, with the errors that they
    /// failed by. The others are started again.
    pub(super) fn park_failed(
        &self,
        actions: &[Arc<Action>],
        now: BootTime,
    ) -> BTreeMap<Arc<str>, String> {
        let mut parked = BTreeMap::new();
        let mut failures = self.failures.lock();
        for name in actions.iter().map(|action| action.name()) {
            let Some(failed) = failures.get_mut(name) else { continue };
            let park = failed.is_parked_now(now);
            if park && !failed.parked {
                let reason = &failed.reason;
                warn!(event = "parked", action = %name, group = %failed.action.group(), reason, "action \
                 {name} is parked, the others continue: it has failed on every candidate; it is \
                 tried again when its plugin or settings change");
            }
            if park {
                parked.insert(Arc::clone(name), failed.reason.clone());
            } else if failed.retried.is_none() {
                info!(event = "retried", action = %name, "action {name} is tried again");
                failed.retried = Some((now, 0));
            }
            failed.parked = park;
        }
        drop(failures);
        self.publish();
        parked
    }

    /// A term of `group` has ended: none of its actions is parked or being retried here any more.
    pub(super) fn term_ended(&self, group: &Group) {
        for failed in self.failures.lock().values_mut() {
            if failed.action.group() == group {
                (failed.parked, failed.retried) = (false, None);
            }
        }
        self.publish();
    }

    /// Forgets the failures of actions that were started again and have run well since.
    pub(super) fn forgive_recovered(&self, now: BootTime) {
        self.failures.lock().retain(|name, failed| {
            let status = failed.action.status();
            let recovered = failed.has_recovered(status.state.is_up(), status.restarts, now);
            if recovered {
                info!(event = "recovered", action = %name, "action {name} runs without failure again");
            }
            !recovered
        });
        self.publish();
    }

    /// Whether an action of `group` has failed here.
    pub(super) fn has_failures(&self, group: &Group) -> bool {
        self.failures.lock().values().any(|failed| failed.action.group() == group)
    }

    fn publish(&self) {
        self.report.send_if_modified(|old| {
            // Read under the report's lock, so that of two calls at once the later one wins.
            let mut new = self.refused.lock().clone();
            let failures = self.failures.lock();
            new.extend(failures.iter().map(|(name, it)| (name.to_string(), it.published())));
            let changes = *old != new;
            *old = new;
            changes
        });
    }
}

#[cfg(test)]
mod tests;
