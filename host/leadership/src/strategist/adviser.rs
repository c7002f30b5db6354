//! Decides what a host should do about its places in the queues. This is the strategist without its
//! clock, its channels and its plugins, so that the simulation can use it too.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    GroupRanks,
    adviser_input::{AdviserInput, AdviserOutcome, GroupMemory, HandOverBudget},
    group_position::GroupPosition,
    hand_over_limit::HandOverLimit,
    spreader::Spreader,
};
use crate::host_view::{CandidacyRole, HostView};
use soloist_config::GroupConfig;
use soloist_heart::{EndCause, FencingToken, Group, HeartEvent, LeaseId, clock::BootTime};
use soloist_stores::{OperatorOrder, Pause, Roster};
use soloist_text::with_reason;

/// How many groups a host hands over at the same time in order to spread them.
const AT_ONCE: usize = 64;
/// After how long the heart is asked again to step back, if it still has not.
const REPEAT_AFTER: Duration = Duration::from_secs(2);

/// Compares the roster with what people and strategies want of one host.
pub struct Adviser {
    host: Arc<str>,
    groups: BTreeMap<Group, GroupConfig>,
    memories: BTreeMap<Group, GroupMemory>,
    spreader: Spreader,
    /// The sessions that existed at the last look.
    sessions: BTreeSet<LeaseId>,
}

impl Adviser {
    /// The adviser of `host`. Groups without settings use the defaults.
    #[must_use]
    pub fn new(host: Arc<str>, groups: BTreeMap<Group, GroupConfig>) -> Self {
        let (memories, spreader, sessions) = Default::default();
        Self { host, groups, memories, spreader, sessions }
    }

    /// Derives this host's next steps from the cluster's state and its own view. `ranks` are the
    /// ranks that plugins assigned.
    pub fn advise(
        &mut self,
        roster: &Roster,
        view: &HostView,
        ranks: &GroupRanks,
        now: BootTime,
    ) -> AdviserOutcome {
        let mut outcome = AdviserOutcome::default();
        for group in view.groups.keys() {
            self.bar_reason(group, roster, &mut outcome);
        }
        self.notice_sessions(roster);
        let Some((lease, _)) = view.session else { return outcome };
        let input = AdviserInput { roster, view, lease, now, ranks };
        self.hand_over_if_kept_out(&input, &mut outcome);
        let mut share = self.spreader.share(&input, &self.groups, &self.memories);
        let under_way = self.memories.iter().filter(|(group, m)| m.hands_over(&input, group));
        let spread = AT_ONCE.saturating_sub(under_way.count());
        let mut budget = HandOverBudget { preferred: 1, spread };
        for group in view.groups.keys() {
            let config = self.groups.get(group).unwrap_or(&GroupConfig::DEFAULT);
            let memory = self.memories.entry(group.clone()).or_default();
            if let Some(mut position) = GroupPosition::of(&input, group, config, memory) {
                position.advise(&mut share, &mut budget, &mut outcome);
            }
        }
        outcome
    }

    /// When a host has come or gone, this host may make way again where it had given up doing so.
    /// Groups are spread again then; that is no sign of a disagreement.
    fn notice_sessions(&mut self, roster: &Roster) {
        let sessions = roster.members.iter().map(|(lease, _)| *lease).collect();
        if self.sessions != sessions {
            self.sessions = sessions;
            for memory in self.memories.values_mut() {
                memory.preference_limit.reset();
                memory.spread_limit = HandOverLimit::default();
            }
        }
    }

    /// Tells the heart when people begin or cease to bar this host from standing.
    fn bar_reason(&mut self, group: &Group, roster: &Roster, outcome: &mut AdviserOutcome) {
        let wanted = bar(&self.host, group, roster);
        let memory = self.memories.entry(group.clone()).or_default();
        if memory.barred == wanted {
            return;
        }
        let (barred, group) = (wanted.clone(), group.clone());
        outcome.events.push(match wanted {
            Some(reason) => HeartEvent::Barred { group, reason },
            None => HeartEvent::Unbarred { group },
        });
        memory.barred = barred;
    }

    /// Hands over every group that this host leads, if people want it to stay out.
    fn hand_over_if_kept_out(&mut self, input: &AdviserInput<'_>, outcome: &mut AdviserOutcome) {
        let Some((what, order)) = kept_out(&self.host, input.roster) else { return };
        for (group, here) in &input.view.groups {
            let Some(own) = input.roster.queue(group).iter().find(|s| s.key.lease == input.lease)
            else {
                continue;
            };
            let memory = self.memories.entry(group.clone()).or_default();
            if here.role == CandidacyRole::Leader
                && memory.handed_over != Some(own.key.fencing_token)
            {
                memory.handed_over = Some(own.key.fencing_token);
                let (key, by) = (own.key.clone(), order.by.clone());
                let reason = with_reason(&format!("this host is {what}"), &order.reason);
                let cause = EndCause::Commanded { by, reason };
                outcome.events.push(HeartEvent::HandOver { key, cause });
            }
        }
    }
}

impl AdviserOutcome {
    /// Asks for another look after `wait` at the latest.
    pub(super) fn look_after(&mut self, wait: Duration) {
        self.look_again = Some(self.look_again.map_or(wait, |other| other.min(wait)));
    }
}

impl GroupMemory {
    /// Whether the candidate of `fencing_token` was asked to step back recently.
    pub(super) fn steps_back(&self, fencing_token: FencingToken, now: BootTime) -> bool {
        self.stepped_back
            .is_some_and(|(of, at)| of == fencing_token && now.since(at) < REPEAT_AFTER)
    }

    /// Whether this host's current term in `group` was asked to hand over, and has not ended.
    pub(super) fn hands_over(&self, input: &AdviserInput<'_>, group: &Group) -> bool {
        let first = input.roster.leader(group).filter(|first| first.key.lease == input.lease);
        first.is_some_and(|first| self.handed_over == Some(first.key.fencing_token))
    }
}

/// How people keep `host` out, and who wants that; `None` if they do not.
fn kept_out<'a>(host: &str, roster: &'a Roster) -> Option<(&'static str, &'a OperatorOrder)> {
    let removed = roster.notes.removed.get(host).map(|removal| ("removed", &removal.order));
    removed.or_else(|| Some(("drained", &roster.notes.drained.get(host)?.order)))
}

/// Why `host` must not stand in `group`, if people have barred it.
pub fn bar(host: &str, group: &Group, roster: &Roster) -> Option<String> {
    if let Some((what, order)) = kept_out(host, roster) {
        return Some(with_reason(&format!("{} {what} this host", order.by), &order.reason));
    }
    let Pause { order, .. } = roster.notes.pause_of(group).filter(|pause| !pause.keep_failover)?;
    Some(with_reason(&format!("{} paused it", order.by), &order.reason))
}
