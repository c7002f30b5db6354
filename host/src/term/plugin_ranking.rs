//! Strategies that are plugins: each ranks the candidates of a group, and is asked again when
//! something has changed that it can see.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::task::spawn_blocking;
use tracing::warn;

use crate::action::RefusedPlugin;
use soloist_config::GroupConfig;
use soloist_guests::plugin::{PluginEngine, RankCandidate, Ranker};
use soloist_heart::{Group, Strategy};
use soloist_leadership::{GroupRanks, HostRanker};
use soloist_stores::{QueuedCandidate, Roster};
use soloist_text::with_causes;

/// The strategy plugins by group, and their last answers.
pub struct PluginRanking {
    rankers: BTreeMap<Group, Arc<Ranker>>,
    refused: Vec<RefusedPlugin>,
    answers: Mutex<BTreeMap<Group, RankingAnswer>>,
}

/// The last answer of a plugin, and the question.
struct RankingAnswer {
    asked: Vec<RankCandidate>,
    /// The place of each candidate; none if the plugin failed.
    places: Option<Vec<i64>>,
}

impl PluginRanking {
    /// Loads the strategy plugins of these groups. One that cannot be loaded is treated like one
    /// that fails: a preference is no reason to go without a leader. This blocks.
    #[must_use]
    pub fn load(engine: &PluginEngine, groups: &BTreeMap<Group, GroupConfig>) -> Self {
        let (mut rankers, mut refused) = (BTreeMap::new(), Vec::new());
        for (group, config) in groups {
            let Strategy::Plugin(file) = &config.strategy else { continue };
            match Ranker::load(engine, file) {
                Ok(ranker) => drop(rankers.insert(group.clone(), ranker.into())),
                Err(error) => {
                    let error = with_causes(&error);
                    warn!(
                        event = "strategy-failed", %group, error,
                        "the strategy of {group} cannot be loaded: the longest-waiting host is \
                         next in line until the plugin is fixed and this host is restarted"
                    );
                    let (name, reason) = (config.strategy.to_string(), error);
                    refused.push(RefusedPlugin { name, reason, reserved: None });
                }
            }
        }
        Self { rankers, refused, answers: Mutex::default() }
    }

    /// The plugins that could not be loaded.
    #[must_use]
    pub fn refused(&self) -> &[RefusedPlugin] {
        &self.refused
    }

    /// The last answer to the same question, if that was the last one.
    fn cached(&self, group: &Group, candidates: &[RankCandidate]) -> Option<Option<Vec<i64>>> {
        let said = self.answers.lock();
        let last = said.get(group)?;
        (last.asked == candidates).then(|| last.places.clone())
    }
}

#[async_trait]
impl HostRanker for PluginRanking {
    /// The places by group, without the groups whose plugin has failed.
    async fn rank(&self, roster: &Roster) -> GroupRanks {
        let mut places = GroupRanks::new();
        for (group, ranker) in &self.rankers {
            let candidates = candidates(roster, group);
            let (ranker, name) = (Arc::clone(ranker), group.clone());
            if let Some(known) = self.cached(group, &candidates) {
                places.extend(known.map(|known| (name, known)));
                continue;
            }
            let asked = candidates.clone();
            let answer = spawn_blocking(move || ranker.rank(name.as_str(), &candidates)).await;
            let found = match answer.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(names) => Some(places_by_name(&asked, &names)),
                Err(error) => {
                    warn!(
                        event = "strategy-failed", %group, error,
                        "the strategy of {group} fails: the longest-waiting host is next in line \
                         until the candidates change"
                    );
                    None
                }
            };
            places.extend(found.clone().map(|found| (group.clone(), found)));
            let mut said = self.answers.lock();
            said.insert(group.clone(), RankingAnswer { asked, places: found });
        }
        places
    }
}

/// The place of each candidate among `names`; candidates that are not there share the last place.
fn places_by_name(candidates: &[RankCandidate], names: &[String]) -> Vec<i64> {
    let place = |candidate: &RankCandidate| names.iter().position(|name| *name == candidate.host);
    let number = |place: usize| i64::try_from(place).unwrap_or(i64::MAX);
    candidates.iter().map(|candidate| number(place(candidate).unwrap_or(names.len()))).collect()
}

/// The candidates of a group as a strategy plugin sees them, in the order of the queue.
fn candidates(roster: &Roster, group: &Group) -> Vec<RankCandidate> {
    let candidate = |(place, standing): (usize, &Arc<QueuedCandidate>)| {
        let host = standing.candidate.host.clone();
        let member = roster.member(&host);
        let others = roster.led_by(standing.key.lease).filter(|other| *other != group);
        RankCandidate {
            labels: member.map_or_else(Vec::new, |member| {
                member.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
            }),
            priority: member.map_or(0, |member| member.priority),
            leads: place == 0,
            leads_others: others.map(Group::to_string).collect(),
            host,
        }
    };
    roster.succession(group).iter().enumerate().map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_that_is_left_out_comes_after_all_others() {
        let candidate = |host: &str| RankCandidate {
            host: host.into(),
            labels: Vec::new(),
            priority: 0,
            leads: false,
            leads_others: Vec::new(),
        };
        let candidates = ["a", "b", "c", "d"].map(candidate);
        let names = ["c", "nobody", "a"].map(str::to_owned);
        assert_eq!(places_by_name(&candidates, &names), [2, 3, 0, 3]);
        assert!(candidates == candidates.clone() && candidates[..] != candidates[1..]);
    }
}
