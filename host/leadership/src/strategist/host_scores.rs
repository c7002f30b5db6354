//! How much speaks against each host that stands in a group, as the roster shows them.

use std::{collections::BTreeMap, sync::Arc};

use super::GroupRanks;
use soloist_config::GroupConfig;
use soloist_heart::{Contender, Group, Score, Strategy, score};
use soloist_stores::{QueuedCandidate, Roster};

/// What the hosts that stand in a group are scored by.
#[derive(Clone, Copy)]
pub(super) struct HostScores<'a> {
    pub(super) roster: &'a Roster,
    pub(super) group: &'a Group,
    pub(super) config: &'a GroupConfig,
    /// What the plugins say, for the groups that have one.
    pub(super) ranks: &'a GroupRanks,
}

impl HostScores<'_> {
    /// The score of each that stands in `queue`.
    pub(super) fn of(&self, queue: &[Arc<QueuedCandidate>]) -> Vec<Score> {
        match self.ranks.get(self.group) {
            Some(said) if said.len() == queue.len() => said.clone(),
            _ => queue.iter().map(|standing| self.own(standing)).collect(),
        }
    }

    /// What speaks against one host by itself, as far as no plugin says it.
    pub(super) fn own(&self, standing: &QueuedCandidate) -> Score {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        let (roster, strategy) = (self.roster, &self.config.strategy);
        // Only what can matter is looked for: there may be a thousand groups.
        if matches!(strategy, Strategy::LongestRunning | Strategy::Plugin(_)) {
            return 0;
        }
        let host = standing.candidate.host.as_str();
        let member = roster.member(host);
        let matters = matches!(strategy, Strategy::Avoid(_)).then_some(standing.key.lease);
        let led = matters.into_iter().flat_map(|lease| roster.led_by(lease));
        let contender = Contender {
            host,
            labels: member.map_or(&NONE, |member| &member.labels),
            priority: member.map_or(0, |member| member.priority),
            leads: led.filter(|other| *other != self.group).collect(),
        };
        score(strategy, &contender)
    }
}
