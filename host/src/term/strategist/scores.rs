//! How much speaks against each host that stands in a group, as the roster shows them.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    config::{GroupConfig, Strategy},
    election::{Contender, Group, Place, Score, Spread, plan, score},
    store::{Roster, Standing},
};

/// What a group's queue is scored by.
pub(super) struct Scores<'a> {
    pub(super) roster: &'a Roster,
    /// What the group's plugin says, if it has one.
    pub(super) places: Option<&'a Vec<i64>>,
    pub(super) spreads: &'a Spreads<'a>,
    pub(super) group: &'a Group,
    pub(super) config: &'a GroupConfig,
}

impl Scores<'_> {
    /// The score of each that stands in `queue`.
    pub(super) fn of(&self, queue: &[Arc<Standing>]) -> Vec<Score> {
        let place = self.spreads.0.get(self.group);
        let score = |(number, standing): (usize, &Arc<Standing>)| {
            let host = standing.candidate.host.as_str();
            let wanted = place.is_none_or(|place| match number {
                0 => place.leader == host,
                _ => place.heir == Some(host),
            });
            let said = self.places.and_then(|places| places.get(number)).copied();
            let own = || own(self.roster, self.group, self.config, standing);
            (said.unwrap_or_else(own), i64::from(!wanted))
        };
        queue.iter().enumerate().map(score).collect()
    }
}

/// The plan for all groups that are to be spread.
pub(super) struct Spreads<'a>(BTreeMap<&'a Group, Place<'a>>);

impl<'a> Spreads<'a> {
    pub(super) fn plan(roster: &'a Roster, groups: &'a BTreeMap<Group, GroupConfig>) -> Self {
        let spread = |(group, config): (&'a Group, &GroupConfig)| {
            let queue = roster.line(group);
            let scores = queue.iter().map(|standing| own(roster, group, config, standing));
            let scores: Vec<_> = scores.collect();
            let best = scores.iter().min()?;
            let equals = queue.iter().zip(&scores).filter(|(_, score)| *score == best);
            Some(Spread {
                group,
                leader: &queue.first()?.candidate.host,
                equals: equals.map(|(standing, _)| standing.candidate.host.as_str()).collect(),
            })
        };
        let spreads = groups.iter().filter(|(_, config)| config.spread).filter_map(spread);
        Self(plan(&spreads.collect::<Vec<_>>()))
    }
}

/// What speaks against one host by itself.
fn own(roster: &Roster, group: &Group, config: &GroupConfig, standing: &Standing) -> i64 {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    let host = standing.candidate.host.as_str();
    let member = roster.member(host);
    // Only what can matter is looked for: there may be a thousand groups.
    let matters = matches!(config.strategy, Strategy::Avoid(_)).then_some(standing.key.lease);
    let led = matters.into_iter().flat_map(|lease| roster.led_by(lease));
    let contender = Contender {
        host,
        labels: member.map_or(&NONE, |member| &member.labels),
        priority: member.map_or(0, |member| member.priority),
        leads: led.filter(|other| *other != group).collect(),
    };
    score(&config.strategy, &contender)
}
