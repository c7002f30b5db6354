//! This host's share of the plan by which groups are spread.

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

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Spreader {
    absent: ExpectedBack,
    /// Since when each host that is to receive leaderships has been leading too few.
    wanting: BTreeMap<LeaseId, BootTime>,
}

/// This host's share of the plan, at one moment.
#[derive(Debug, Default)]
pub(super) struct SpreadShare<'a> {
    /// Groups in which it is next in line and should not be.
    back: BTreeSet<&'a Group>,
    /// Groups that it leads and that another host could lead.
    movable: BTreeSet<&'a Group>,
    /// How many more leaderships it may give to each host, and since when that host wants them.
    gives: BTreeMap<LeaseId, (usize, BootTime)>,
}

impl Spreader {
    /// Computes this host's share of the plan for all of `groups`.
    pub(super) fn share<'a>(
        &mut self,
        input: &AdviserInput<'a>,
        groups: &'a BTreeMap<Group, GroupConfig>,
        memories: &BTreeMap<Group, GroupMemory>,
    ) -> SpreadShare<'a> {
        let groups = || groups.iter().filter(|(_, config)| config.spread);
        self.absent.update(input.roster, groups().map(|(group, _)| group), input.now);
        let spread = |(group, config)| {
            Some((group, self.spread(input, group, config, memories.get(group))?))
        };
        let spreads: Vec<(&Group, SpreadGroup)> = groups().filter_map(spread).collect();
        let plan = SpreadPlan::of(spreads.iter().map(|(_, spread)| spread));
        self.update_wanting(&plan, input.now);
        let own = |spread: &SpreadGroup| spread.leader == input.lease;
        let movable = spreads.iter().filter(|(_, spread)| own(spread) && plan.can_move(spread));
        let mut share = SpreadShare {
            back: plan
                .groups_to_step_back(input.lease, spreads.iter().map(|(g, s)| (*g, s)))
                .into_iter()
                .collect(),
            movable: movable.map(|(group, _)| *group).collect(),
            gives: BTreeMap::new(),
        };
        for (to, count) in plan.moves_from(input.lease) {
            share.gives.insert(to, (count, self.wanting[&to]));
        }
        // A group that is being handed over counts as this host's until that is done.
        for (group, spread) in spreads.iter().filter(|(_, spread)| own(spread)) {
            if memories.get(*group).is_some_and(|memory| memory.hands_over(input, group)) {
                share.movable.remove(group);
                share.take(spread.next_leader);
            }
        }
        share
    }

    /// One group as the plan sees it; `None` if nobody leads it.
    fn spread(
        &self,
        input: &AdviserInput<'_>,
        group: &Group,
        config: &GroupConfig,
        memory: Option<&GroupMemory>,
    ) -> Option<SpreadGroup> {
        // Behind a foreign candidate nobody can lead, or be next.
        let queue = input.roster.succession(group);
        let first = queue.first()?;
        let scores = HostScores { roster: input.roster, group, config, ranks: input.ranks };
        let scored = scores.of(queue);
        let best = scored.iter().min()?;
        let there = queue.iter().zip(&scored).filter(|(_, score)| *score == best);
        let mut equals: Vec<_> = there.map(|(standing, _)| standing.key.lease).collect();
        // Nobody knows how a plugin would rank hosts that are not in the queue.
        if !input.ranks.contains_key(group) {
            let away = self.absent.in_group(group).filter(|standing| scores.own(standing) == *best);
            equals.extend(away.map(|standing| standing.key.lease));
        }
        equals.sort_unstable();
        equals.dedup();
        // A host that was asked to step back counts as if it had done so.
        let leaves = |fencing_token| {
            memory.is_some_and(|memory| memory.steps_back(fencing_token, input.now))
        };
        let waiting = queue[1..].iter().filter(|standing| !leaves(standing.key.fencing_token));
        let mut waiting = waiting.map(|standing| standing.key.lease);
        let next_leader = waiting.next().filter(|next_leader| equals.contains(next_leader));
        let paused = input.roster.notes.pause_of(group).is_some();
        Some(SpreadGroup {
            leader: first.key.lease,
            next_leader,
            second_in_line: next_leader.and_then(|_| waiting.find(|host| equals.contains(host))),
            fixed: paused
                || first.candidate.next_leader.is_some()
                || !equals.contains(&first.key.lease),
            best_hosts: equals,
        })
    }

    /// Records since when each host that should lead more has been waiting.
    fn update_wanting(&mut self, plan: &SpreadPlan, now: BootTime) {
        let takers: BTreeSet<_> = plan.receivers().collect();
        self.wanting.retain(|host, _| takers.contains(host));
        for host in takers {
            self.wanting.entry(host).or_insert(now);
        }
    }
}

impl SpreadShare<'_> {
    /// Whether this host, which is next in `group`, should step back.
    pub(super) fn steps_back(&self, group: &Group) -> bool {
        self.back.contains(group)
    }

    /// Whether `group` should be handed over to `next`; the value is how much longer that must
    /// remain so.
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

    /// Records that one leadership is given to `next`.
    pub(super) fn take(&mut self, next: Option<LeaseId>) {
        if let Some((count, _)) = next.and_then(|next| self.gives.get_mut(&next)) {
            *count = count.saturating_sub(1);
        }
    }
}
