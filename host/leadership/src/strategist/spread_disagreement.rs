//! Detects that hosts disagree on which groups are spread; the plan only works if all of them
//! follow it.

use std::collections::{BTreeMap, BTreeSet};

use soloist_config::GroupConfig;
use soloist_heart::Group;
use soloist_stores::{Roster, ThisHost};
use soloist_text::list_few;

/// Describes which hosts in `group` have another `spread` setting than `host`, whose settings are
/// `config`. `None` if there are none.
#[must_use]
pub fn spread_disagreement(
    host: &ThisHost,
    group: &Group,
    config: &GroupConfig,
    roster: &Roster,
) -> Option<String> {
    let others = others(host, group, config, roster);
    if others.is_empty() {
        return None;
    }
    let one = others.len() == 1;
    let others = list_few(others.into_iter());
    Some(match (config.spread, one) {
        (true, true) => format!("{others} does not spread it, and this host does"),
        (true, false) => format!("{others} do not spread it, and this host does"),
        (false, true) => format!("{others} spreads it, and this host does not"),
        (false, false) => format!("{others} spread it, and this host does not"),
    })
}

/// A description of the disagreements in all groups.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SpreadDisagreements {
    /// The disagreement without the groups' names: that more groups appear is no news.
    pub(super) who: String,
    /// The same, with the groups' names.
    pub(super) text: String,
}

/// The disagreements in all of `groups`, for the log.
pub(super) fn spread_disagreements<'a>(
    host: &ThisHost,
    groups: impl Iterator<Item = (&'a Group, &'a GroupConfig)>,
    roster: &Roster,
) -> Option<SpreadDisagreements> {
    let mut same: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (group, config) in groups {
        if let Some(odds) = spread_disagreement(host, group, config, roster) {
            same.entry(odds).or_default().push(group.as_str());
        }
    }
    let reported = same.iter().map(|(odds, groups)| format!("{}: {odds}", list_few(groups.iter())));
    let text = reported.collect::<Vec<_>>().join("; ");
    let who = same.keys().map(String::as_str).collect::<Vec<_>>().join("; ");
    (!same.is_empty()).then_some(SpreadDisagreements { who, text })
}

/// Hosts of older versions do not report the setting; they are left out.
fn others<'a>(
    host: &ThisHost,
    group: &Group,
    config: &GroupConfig,
    roster: &'a Roster,
) -> BTreeSet<&'a str> {
    let line = roster.succession(group).iter().map(|standing| &standing.candidate);
    let others = line.filter(|it| host.is_other(*it) && it.spread == Some(!config.spread));
    others.map(|it| it.host.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use soloist_heart::{LeaderKey, LeaseId};
    use soloist_stores::{Candidate, Member, QueuedCandidate};

    const SPREAD: GroupConfig = GroupConfig { spread: true, ..GroupConfig::DEFAULT };

    /// A roster in which these hosts stand in each of the groups.
    fn roster(groups: &[&str], hosts: &[(&str, Option<bool>)]) -> Roster {
        let mut roster = Roster::default();
        for (group, (number, (host, spread))) in
            groups.iter().flat_map(|group| hosts.iter().enumerate().map(move |host| (group, host)))
        {
            let number = i64::try_from(number).unwrap() + 1;
            let candidate = Candidate { spread: *spread, ..Candidate::of(&Member::named(*host)) };
            let name = format!("{group}/{number}");
            let key = LeaderKey::new((*group).into(), name, LeaseId(number), number);
            let standing = Arc::new(QueuedCandidate { candidate, key });
            roster.groups.entry((*group).into()).or_default().push(standing);
        }
        roster
    }

    fn this(name: &str) -> ThisHost {
        ThisHost::of(&Member::named(name))
    }

    fn reported(config: &GroupConfig, hosts: &[(&str, Option<bool>)]) -> Option<String> {
        spread_disagreement(&this("a"), &"g".into(), config, &roster(&["g"], hosts))
    }

    #[test]
    fn who_differs_is_named_and_who_does_not_say_is_not() {
        let all = [("a", Some(true)), ("b", Some(false)), ("c", None), ("d", Some(true))];
        let it = reported(&SPREAD, &all);
        assert_eq!(it.as_deref(), Some("b does not spread it, and this host does"));
        let it = reported(&GroupConfig::DEFAULT, &all);
        assert_eq!(it.as_deref(), Some("d spreads it, and this host does not"));
        assert_eq!(reported(&SPREAD, &[("a", Some(true)), ("b", Some(true)), ("c", None)]), None);
    }

    #[test]
    fn many_groups_are_one_line() {
        let groups: Vec<_> = (0..100).map(|n| format!("g{n:02}")).collect();
        let names: Vec<_> = groups.iter().map(String::as_str).collect();
        let roster = roster(&names, &[("a", Some(true)), ("b", Some(false)), ("c", Some(false))]);
        let groups: Vec<Group> = names.iter().map(|name| (*name).into()).collect();
        let all = groups.iter().map(|group| (group, &SPREAD));
        let odds = spread_disagreements(&this("a"), all, &roster).unwrap();
        assert_eq!(odds.who, "b, c do not spread it, and this host does");
        assert_eq!(odds.text, format!("g00, g01, g02 and 97 more: {}", odds.who));
        let same = groups.iter().map(|group| (group, &GroupConfig::DEFAULT));
        assert_eq!(spread_disagreements(&this("b"), same.take(0), &roster), None);
    }
}
