//! How unsuitable each host in a group is, judged by the roster.

use std::{collections::BTreeMap, sync::Arc};

use super::GroupRanks;
use soloist_config::GroupConfig;
use soloist_heart::{Contender, Group, Score, Strategy, score};
use soloist_stores::{QueuedCandidate, Roster};

/// What is needed to score the candidates of a group.
#[derive(Clone, Copy)]
pub(super) struct HostScores<'a> {
    pub(super) roster: &'a Roster,
    pub(super) group: &'a Group,
    pub(super) config: &'a GroupConfig,
    /// The ranks that plugins assigned, for the groups that have one.
    pub(super) ranks: &'a GroupRanks,
}

impl HostScores<'_> {
    /// The score of each candidate in `queue`.
    pub(super) fn of(&self, queue: &[Arc<QueuedCandidate>]) -> Vec<Score> {
        match self.ranks.get(self.group) {
            Some(said) if said.len() == queue.len() => said.clone(),
            _ => queue.iter().map(|standing| self.own(standing)).collect(),
        }
    }

    /// The score of one candidate without a plugin's ranking.
    pub(super) fn own(&self, standing: &QueuedCandidate) -> Score {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        let (roster, strategy) = (self.roster, &self.config.strategy);
        // Look up only what can matter: there may be a thousand groups.
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
