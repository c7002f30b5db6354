//! Which actions have failed on this host, and what follows from that.
//!
//! A host on which an action fails hands over, to a host on which it has not failed. It
//! then stands back: for its pause it does not stand for election, as long as such a
//! host does. Where there is none left, the action is *parked*: the leader goes on with
//! the rest of the group, without a hand-over, and tries it again after a long pause.
//!
//! What a host refuses to take into its programme counts as failed there: it does without it, so
//! it could not do better.
//!
//! Invariants:
//! - A failure costs at most one hand-over a host, however many hosts there are: it is
//!   remembered until the action has run well, or another version of it is there.
//! - Every host knows of it: what is remembered here is part of what the host says of
//!   itself in the store.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::action::{Action, ActionFailure, FAILED_AGAIN, Programme};
use soloist_heart::{
    Group,
    clock::{BootTime, unix_ms},
};
use soloist_stores::{FailedAction, QueuedCandidate, Roster};

/// How much is said in the store of what is refused: of so many names, so many bytes each.
const REFUSED_MAX: usize = 100;
const REASON_MAX: usize = 300;

/// What this host says in the store of the actions that fail on it.
pub type FailureReport = BTreeMap<String, FailedAction>;

/// What a term does about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureVerdict {
    /// Another host may fare better.
    HandOver,
    /// None does: the others go on without the action.
    Park,
}

/// The memory of a host's failures. Clones share it.
#[derive(Clone)]
pub struct ActionHealth {
    host: Arc<str>,
    cool_down: Duration,
    roster: watch::Receiver<Option<Roster>>,
    failures: Arc<Mutex<BTreeMap<Arc<str>, FailureRecord>>>,
    /// What this host does without, which is another part of what it says.
    refused: Arc<Mutex<FailureReport>>,
    report: watch::Sender<FailureReport>,
}

/// An action that failed.
struct FailureRecord {
    /// In this version.
    action: Arc<Action>,
    reason: String,
    at: BootTime,
    unix: u64,
    /// Whether the leader, which is this host, goes on without it.
    parked: bool,
    /// Since when it has run anew without ending, and how often it had ended by then.
    retried: Option<(BootTime, u64)>,
}

impl FailureRecord {
    /// Whether the leader, which is this host, is to go on without it.
    fn is_parked_now(&self, now: BootTime) -> bool {
        self.retried.is_none() && now.since(self.at) < FAILED_AGAIN
    }

    /// Whether it has been up for its window since it was tried again, which has ended so
    /// often by now.
    fn has_recovered(&mut self, up: bool, ends: u64, now: BootTime) -> bool {
        let Some((since, before)) = self.retried else { return false };
        if !up || ends != before {
            self.retried = Some((now, ends));
            return false;
        }
        now.since(since) >= self.action.stable_after()
    }
}

impl ActionHealth {
    /// Nothing has failed yet on `host`. It stands back for `cool_down`.
    #[must_use]
    pub fn new(
        host: Arc<str>,
        cool_down: Duration,
        roster: watch::Receiver<Option<Roster>>,
    ) -> Self {
        let report = watch::Sender::new(FailureReport::new());
        Self { host, cool_down, roster, failures: Arc::default(), refused: Arc::default(), report }
    }

    /// What this host says in the store, as it changes.
    pub fn report(&self) -> watch::Receiver<FailureReport> {
        self.report.subscribe()
    }

    /// Takes a failure down, and decides about the term.
    pub(super) fn record_failure(&self, failure: &ActionFailure, now: BootTime) -> FailureVerdict {
        let name = Arc::clone(failure.action.name());
        let park = !self.another_can(failure.action.group(), &name);
        let failed = FailureRecord {
            action: Arc::clone(&failure.action),
            reason: failure.reason.clone(),
            at: now,
            unix: unix_ms(),
            parked: false,
            retried: None,
        };
        self.failures().insert(name, failed);
        self.publish();
        if park { FailureVerdict::Park } else { FailureVerdict::HandOver }
    }

    /// Forgets the failures of what was changed, or taken away, and takes down what is refused.
    pub(super) fn apply_programme(&self, programme: &Programme) {
        self.note_refused(programme);
        let there =
            |action: &Action| programme.actions.iter().any(|other| other.is_same_version(action));
        self.failures().retain(|name, failed| {
            let stays = there(&failed.action);
            if !stays {
                info!(event = "changed", action = %name, "action {name} is another one now: its failure does not count any more");
            }
            stays
        });
        self.publish();
    }

    fn note_refused(&self, programme: &Programme) {
        let mut refused = self.refused.lock();
        let mut before = std::mem::take(&mut *refused);
        let noted = programme.refused.iter().take(REFUSED_MAX).map(|it| {
            let reason = soloist_text::truncate(&it.reason, REASON_MAX).to_owned();
            let new = FailedAction { reason, at: unix_ms(), parked: false };
            let known = before.remove(&it.name).filter(|known| known.reason == new.reason);
            (it.name.clone(), known.unwrap_or(new))
        });
        *refused = noted.collect();
    }

    /// Those of `actions` that the leader, this host, goes on without, and what they failed by.
    pub(super) fn park_failed(
        &self,
        actions: &[Arc<Action>],
        now: BootTime,
    ) -> BTreeMap<Arc<str>, String> {
        let mut parked = BTreeMap::new();
        let mut failures = self.failures();
        for name in actions.iter().map(|action| action.name()) {
            let Some(failed) = failures.get_mut(name) else { continue };
            let park = failed.is_parked_now(now);
            if park && !failed.parked {
                let reason = &failed.reason;
                warn!(event = "parked", action = %name, group = %failed.action.group(), reason, "action {name} is parked, the rest goes on: it failed, and no host can do better; it is tried again when its plugin or settings change");
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

    /// A term of `group` is over: nothing of it is parked or tried here any more.
    pub(super) fn term_ended(&self, group: &Group) {
        for failed in self.failures().values_mut() {
            if failed.action.group() == group {
                (failed.parked, failed.retried) = (false, None);
            }
        }
        self.publish();
    }

    /// Looks after what is tried again: what has run well for its window is forgiven.
    pub(super) fn forgive_recovered(&self, now: BootTime) {
        self.failures().retain(|name, failed| {
            let status = failed.action.status();
            let well = failed.has_recovered(status.state.is_up(), status.restarts, now);
            if well {
                info!(event = "recovered", action = %name, "action {name} runs well again");
            }
            !well
        });
        self.publish();
    }

    /// What is parked here of `group`, and a host that stands on which none of `actions`
    /// has failed. If something else had failed there, it would hand over to this one.
    pub(super) fn better_host(
        &self,
        group: &Group,
        actions: &[Arc<Action>],
    ) -> Option<(Arc<str>, String)> {
        let parked = {
            let failures = self.failures();
            let own = failures.iter().find(|(_, it)| it.parked && it.action.group() == group);
            Arc::clone(own?.0)
        };
        let names: Vec<_> = actions.iter().map(|action| &**action.name()).collect();
        Some((parked, self.successor(group, &names)?))
    }

    /// Whether something of `group` has failed here.
    pub(super) fn has_failures(&self, group: &Group) -> bool {
        self.failures().values().any(|failed| failed.action.group() == group)
    }

    /// Why this host does not stand in `group` for now, if so: after a failure, as long as
    /// another can lead; later on, as long as another can be the next. Whoever hands
    /// over because of the same action must not come upon this host.
    pub(super) fn stands_back(&self, group: &Group, now: BootTime) -> Option<String> {
        let own: Vec<_> = {
            let failures = self.failures();
            let own = failures.iter().filter(|(_, failed)| failed.action.group() == group);
            own.map(|(name, it)| (Arc::clone(name), it.reason.clone(), now.since(it.at))).collect()
        };
        own.into_iter().find_map(|(name, reason, ago)| {
            let leads_too = ago < self.cool_down;
            let skipped = usize::from(!leads_too);
            let other =
                self.other_candidate(group, &[&name], |queue| &queue[skipped.min(queue.len())..])?;
            let cool_down = humantime::format_duration(self.cool_down);
            let until = if leads_too { format!("for {cool_down}") } else { "still".to_owned() };
            Some(format!(
                "action {name} failed here: {reason}; this host stands back {until}, \
                 since it has not failed on {other} (`cool_down` in [lease])"
            ))
        })
    }

    /// Whether the leadership can be handed to a host where `action` has not failed.
    fn another_can(&self, group: &Group, action: &str) -> bool {
        // Without a roster nobody knows.
        self.roster.borrow().is_none() || self.successor(group, &[action]).is_some()
    }

    /// A host behind this one, which leads, on which none of `actions` has failed. Who is
    /// seen before it has gone: the roster is only late to tell.
    fn successor(&self, group: &Group, actions: &[&str]) -> Option<String> {
        self.other_candidate(group, actions, |queue| {
            let own = queue.iter().rposition(|it| *it.candidate.host == *self.host);
            own.map_or(&[], |own| &queue[own + 1..])
        })
    }

    /// Another host in this part of the queue of `group` on which none of `actions` has
    /// failed.
    fn other_candidate(
        &self,
        group: &Group,
        actions: &[&str],
        part: impl Fn(&[Arc<QueuedCandidate>]) -> &[Arc<QueuedCandidate>],
    ) -> Option<String> {
        let roster = self.roster.borrow();
        let roster = roster.as_ref()?;
        let well = |lease| {
            let failing = roster.member_of(lease).map(|member| &member.failing);
            failing.is_none_or(|failing| !actions.iter().any(|name| failing.contains_key(*name)))
        };
        part(roster.succession(group))
            .iter()
            .find(|it| *it.candidate.host != *self.host && well(it.key.lease))
            .map(|it| it.candidate.host.clone())
    }

    fn publish(&self) {
        let report = |failed: &FailureRecord| FailedAction {
            reason: failed.reason.clone(),
            at: failed.unix,
            parked: failed.parked,
        };
        self.report.send_if_modified(|old| {
            // In here, so that of two at once the later one stays.
            let mut new = self.refused.lock().clone();
            let failures = self.failures();
            new.extend(failures.iter().map(|(name, it)| (name.to_string(), report(it))));
            let changes = *old != new;
            *old = new;
            changes
        });
    }

    fn failures(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, FailureRecord>> {
        self.failures.lock()
    }
}

#[cfg(test)]
mod tests;
