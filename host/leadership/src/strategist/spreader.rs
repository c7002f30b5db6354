//! What this host does so that groups are spread: its part of the plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    adviser_input::{AdviserInput, GroupMemory},
    expected_back::ExpectedBack,
    host_scores::HostScores,
};
use soloist_config::GroupConfig;
use soloist_heart::{Group, LeaseId, SpreadGroup, SpreadPlan, clock::BootTime};

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Spreader {
    absent: ExpectedBack,
    /// Since when each of those that are to be given leaderships leads too few.
    wanting: BTreeMap<LeaseId, BootTime>,
}

/// This host's part, at one moment.
#[derive(Debug, Default)]
pub(super) struct SpreadShare<'a> {
    /// Where it is next and should not be.
    back: BTreeSet<&'a Group>,
    /// Where it leads, and another might.
    movable: BTreeSet<&'a Group>,
    /// How many leaderships it may give to whom yet, and since when they are wanted.
    gives: BTreeMap<LeaseId, (usize, BootTime)>,
}

impl Spreader {
    /// The part that the plan for all of `groups` has for this host.
    pub(super) fn share<'a>(
        &mut self,
        look: &AdviserInput<'a>,
        groups: &'a BTreeMap<Group, GroupConfig>,
        memories: &BTreeMap<Group, GroupMemory>,
    ) -> SpreadShare<'a> {
        let groups = || groups.iter().filter(|(_, config)| config.spread);
        self.absent.update(look.roster, groups().map(|(group, _)| group), look.now);
        let spread =
            |(group, config)| Some((group, self.spread(look, group, config, memories.get(group))?));
        let spreads: Vec<(&Group, SpreadGroup)> = groups().filter_map(spread).collect();
        let plan = SpreadPlan::of(spreads.iter().map(|(_, spread)| spread));
        self.update_wanting(&plan, look.now);
        let own = |spread: &SpreadGroup| spread.leader == look.lease;
        let movable = spreads.iter().filter(|(_, spread)| own(spread) && plan.can_move(spread));
        let mut part = SpreadShare {
            back: plan
                .groups_to_step_back(look.lease, spreads.iter().map(|(g, s)| (*g, s)))
                .into_iter()
                .collect(),
            movable: movable.map(|(group, _)| *group).collect(),
            gives: BTreeMap::new(),
        };
        for (to, count) in plan.moves_from(look.lease) {
            part.gives.insert(to, (count, self.wanting[&to]));
        }
        // What is being handed over already counts as this host's until it is done.
        for (group, spread) in spreads.iter().filter(|(_, spread)| own(spread)) {
            if memories.get(*group).is_some_and(|memory| memory.hands_over(look, group)) {
                part.movable.remove(group);
                part.take(spread.heir);
            }
        }
        part
    }

    /// One group as the plan sees it; nothing, if nobody leads it.
    fn spread(
        &self,
        look: &AdviserInput<'_>,
        group: &Group,
        config: &GroupConfig,
        memory: Option<&GroupMemory>,
    ) -> Option<SpreadGroup> {
        // Behind a stranger nobody can lead, or be next.
        let queue = look.roster.line(group);
        let first = queue.first()?;
        let scores = HostScores { roster: look.roster, group, config, ranks: look.ranks };
        let scored = scores.of(queue);
        let best = scored.iter().min()?;
        let there = queue.iter().zip(&scored).filter(|(_, score)| *score == best);
        let mut equals: Vec<_> = there.map(|(standing, _)| standing.key.lease).collect();
        // Nobody knows what a plugin would say of those that are not there.
        if !look.ranks.contains_key(group) {
            let away = self.absent.in_group(group).filter(|standing| scores.own(standing) == *best);
            equals.extend(away.map(|standing| standing.key.lease));
        }
        equals.sort_unstable();
        equals.dedup();
        // Where this host was told to step back, it as good as did.
        let leaves = |token| memory.is_some_and(|memory| memory.steps_back(token, look.now));
        let waiting = queue[1..].iter().filter(|standing| !leaves(standing.key.token));
        let mut waiting = waiting.map(|standing| standing.key.lease);
        let heir = waiting.next().filter(|heir| equals.contains(heir));
        let paused = look.roster.notes.pause_of(group).is_some();
        Some(SpreadGroup {
            leader: first.key.lease,
            heir,
            second_heir: heir.and_then(|_| waiting.find(|host| equals.contains(host))),
            fixed: paused || first.candidate.heir.is_some() || !equals.contains(&first.key.lease),
            best_hosts: equals,
        })
    }

    /// Takes down since when those who should lead more do not.
    fn update_wanting(&mut self, plan: &SpreadPlan, now: BootTime) {
        let takers: BTreeSet<_> = plan.receivers().collect();
        self.wanting.retain(|host, _| takers.contains(host));
        for host in takers {
            self.wanting.entry(host).or_insert(now);
        }
    }
}

impl SpreadShare<'_> {
    /// Whether this host, which is next in `group`, should make way.
    pub(super) fn steps_back(&self, group: &Group) -> bool {
        self.back.contains(group)
    }

    /// Whether it should hand `group` over to `next`, and how long that must still be so.
    pub(super) fn gives(
        &self,
        group: &Group,
        next: LeaseId,
        settle: Duration,
        now: BootTime,
    ) -> Option<Duration> {
        let (count, since) = self.gives.get(&next)?;
        (*count > 0 && self.movable.contains(group)).then(|| (*since + settle).since(now))
    }

    /// Takes down that one leadership is given to `next`.
    pub(super) fn take(&mut self, next: Option<LeaseId>) {
        if let Some((count, _)) = next.and_then(|next| self.gives.get_mut(&next)) {
            *count = count.saturating_sub(1);
        }
    }
}
