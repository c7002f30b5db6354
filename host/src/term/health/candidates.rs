//! Which other host could do better, and whether this one stands back for it.

use std::sync::Arc;

use super::ActionHealth;
use crate::action::Action;
use soloist_heart::{Group, clock::BootTime};
use soloist_stores::QueuedCandidate;

impl ActionHealth {
    /// An action of `group` that is parked here, and a host that stands for election on which none
    /// of `actions` has failed. If any of them had failed there, that host would hand over to this
    /// one again.
    pub(in crate::term) fn better_host(
        &self,
        group: &Group,
        actions: &[Arc<Action>],
    ) -> Option<(Arc<str>, String)> {
        let parked = {
            let failures = self.failures.lock();
            let own = failures.iter().find(|(_, it)| it.parked && it.action.group() == group);
            Arc::clone(own?.0)
        };
        let names: Vec<_> = actions.iter().map(|action| &**action.name()).collect();
        Some((parked, self.successor(group, &names)?))
    }

    /// Why this host does not stand in `group` for now, if so. For the time of `cooldown` after a
    /// failure it stands back as long as another host can lead. After that, it still does as long
    /// as another host can be next in line: a leader on which the same action fails must not hand
    /// over to this host.
    pub(in crate::term) fn stands_back(&self, group: &Group, now: BootTime) -> Option<String> {
        let own: Vec<_> = {
            let failures = self.failures.lock();
            let own = failures.iter().filter(|(_, failed)| failed.action.group() == group);
            own.map(|(name, it)| (Arc::clone(name), it.reason.clone(), now.since(it.at))).collect()
        };
        own.into_iter().find_map(|(name, reason, ago)| {
            let leader_counts = ago < self.cooldown;
            let skipped = usize::from(!leader_counts);
            let other =
                self.other_candidate(group, &[&name], |queue| &queue[skipped.min(queue.len())..])?;
            let cooldown = humantime::format_duration(self.cooldown);
            let waits = if leader_counts {
                format!("does not stand for election for {cooldown}")
            } else {
                "still does not stand for election".to_owned()
            };
            Some(format!(
                "action {name} failed here: {reason}; this host {waits}, \
                 since it has not failed on {other} (`cooldown` in [host])"
            ))
        })
    }

    /// Whether this host, which leads, can hand over to a host on which `action` has not failed.
    /// True while there is no roster to tell.
    pub(super) fn another_can(&self, group: &Group, action: &str) -> bool {
        self.roster.borrow().is_none() || self.successor(group, &[action]).is_some()
    }

    /// A host in line behind this one, which leads, on which none of `actions` has failed. If the
    /// roster does not list this host yet, there is none.
    fn successor(&self, group: &Group, actions: &[&str]) -> Option<String> {
        self.other_candidate(group, actions, |queue| {
            let own = queue.iter().rposition(|it| self.host.is(&it.candidate));
            own.map_or(&[], |own| &queue[own + 1..])
        })
    }

    /// Another host in the chosen part of the queue of `group` on which none of `actions` has
    /// failed.
    fn other_candidate(
        &self,
        group: &Group,
        actions: &[&str],
        part: impl Fn(&[Arc<QueuedCandidate>]) -> &[Arc<QueuedCandidate>],
    ) -> Option<String> {
        let roster = self.roster.borrow();
        let roster = roster.as_ref()?;
        let is_well = |lease| {
            let failing = roster.member_of(lease).map(|member| &member.failing);
            failing.is_none_or(|failing| !actions.iter().any(|name| failing.contains_key(*name)))
        };
        part(roster.succession(group))
            .iter()
            .find(|it| self.host.is_other(&it.candidate) && is_well(it.key.lease))
            .map(|it| it.candidate.host.clone())
    }
}
