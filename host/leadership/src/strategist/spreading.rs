//! What this host does so that groups are spread: its part of the plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    absent::Absent,
    look::{Look, Memory},
    scores::Scores,
};
use soloist_config::GroupConfig;
use soloist_heart::{Group, LeaseId, Plan, Spread, clock::BootTime};

/// What is remembered from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Spreader {
    absent: Absent,
    /// Since when each of those that are to be given leaderships leads too few.
    wanting: BTreeMap<LeaseId, BootTime>,
}

/// This host's part, at one moment.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    /// Where it is next and should not be.
    back: BTreeSet<&'a Group>,
    /// Where it leads, and another might.
    movable: BTreeSet<&'a Group>,
    /// How many leaderships it may give to whom yet, and since when they are wanted.
    gives: BTreeMap<LeaseId, (usize, BootTime)>,
}

impl Spreader {
    /// The part that the plan for all of `groups` has for this host.
    pub(super) fn part<'a>(
        &mut self,
        look: &Look<'a>,
        groups: &'a BTreeMap<Group, GroupConfig>,
        memories: &BTreeMap<Group, Memory>,
    ) -> Part<'a> {
        let groups = || groups.iter().filter(|(_, config)| config.spread);
        self.absent.look(look.roster, groups().map(|(group, _)| group), look.now);
        let spread =
            |(group, config)| Some((group, self.spread(look, group, config, memories.get(group))?));
        let spreads: Vec<(&Group, Spread)> = groups().filter_map(spread).collect();
        let plan = Plan::of(spreads.iter().map(|(_, spread)| spread));
        self.want(&plan, look.now);
        let own = |spread: &Spread| spread.leader == look.lease;
        let movable = spreads.iter().filter(|(_, spread)| own(spread) && plan.moves_in(spread));
        let mut part = Part {
            back: plan
                .too_many(look.lease, spreads.iter().map(|(g, s)| (*g, s)))
                .into_iter()
                .collect(),
            movable: movable.map(|(group, _)| *group).collect(),
            gives: BTreeMap::new(),
        };
        for (to, count) in plan.gives(look.lease) {
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
        look: &Look<'_>,
        group: &Group,
        config: &GroupConfig,
        memory: Option<&Memory>,
    ) -> Option<Spread> {
        // Behind a stranger nobody can lead, or be next.
        let queue = look.roster.line(group);
        let first = queue.first()?;
        let scores = Scores { roster: look.roster, group, config, places: look.places };
        let scored = scores.of(queue);
        let best = scored.iter().min()?;
        let there = queue.iter().zip(&scored).filter(|(_, score)| *score == best);
        let mut equals: Vec<_> = there.map(|(standing, _)| standing.key.lease).collect();
        // Nobody knows what a plugin would say of those that are not there.
        if !look.places.contains_key(group) {
            let away = self.absent.from(group).filter(|standing| scores.own(standing) == *best);
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
        Some(Spread {
            leader: first.key.lease,
            heir,
            third: heir.and_then(|_| waiting.find(|host| equals.contains(host))),
            fixed: paused || first.candidate.heir.is_some() || !equals.contains(&first.key.lease),
            equals,
        })
    }

    /// Takes down since when those who should lead more do not.
    fn want(&mut self, plan: &Plan, now: BootTime) {
        let takers: BTreeSet<_> = plan.takers().collect();
        self.wanting.retain(|host, _| takers.contains(host));
        for host in takers {
            self.wanting.entry(host).or_insert(now);
        }
    }
}

impl Part<'_> {
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
