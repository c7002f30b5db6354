//! Who should lead: what a host does about its place in a queue.
//!
//! The store's election decides who leads, and goes by the order in which hosts
//! came. A strategy changes that order by what each host does of its own accord:
//!
//! ```text
//!   a standby before the one that should be next    steps back: leaves, and stands again, last
//!   the leader, if the next one should lead         hands over, where the group's settings say so
//! ```
//!
//! So the heir stands in its place before it is needed, and a take-over by
//! preference takes as long as any other. Whatever a strategy says, two hosts
//! never lead: it moves nothing but the hosts' own candidates.

use std::{cmp::Reverse, collections::BTreeMap, fmt, path::PathBuf};

use super::Group;

/// How hosts are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Who has stood for the longest time leads next.
    LongestRunning,
    /// The host with the highest `host.priority`.
    Priority,
    /// The hosts that carry the first of these labels, then the second, and so on.
    Labels(Vec<HostLabel>),
    /// The host to which the fewest of these apply.
    Avoid(Vec<AvoidRule>),
    /// What a plugin says.
    Plugin(PathBuf),
}

/// A label and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLabel {
    /// The label.
    pub name: String,
    /// The value.
    pub value: String,
}

impl HostLabel {
    /// Whether it is one of `labels`.
    #[must_use]
    pub fn is_in(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(&self.name) == Some(&self.value)
    }
}

/// What speaks against a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AvoidRule {
    /// That it leads this group.
    Leader(Group),
    /// That it carries this label.
    Label(HostLabel),
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LongestRunning => f.write_str("longest-running"),
            Self::Priority | Self::Labels(_) => f.write_str("priority"),
            Self::Avoid(_) => f.write_str("avoid"),
            Self::Plugin(file) => {
                f.write_str(&file.file_name().unwrap_or_default().to_string_lossy())
            }
        }
    }
}

/// A host that stands in a group, in the order of the queue.
#[derive(Clone, Debug)]
pub struct Contender<'a> {
    /// Its name.
    pub host: &'a str,
    /// Its labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Its priority.
    pub priority: i64,
    /// The other groups that it leads.
    pub leads: Vec<&'a Group>,
}

/// How much speaks against a contender: the one with the least should lead.
pub type Score = i64;

/// What a host should do about its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing.
    Stay,
    /// Stand again, last: the one at this place should be next, and stands behind.
    StepBack {
        /// Its place.
        next: usize,
    },
    /// Hand over to the next in line.
    HandOver,
}

/// How much speaks against `contender`. What a plugin says is not known here.
#[must_use]
pub fn score(strategy: &Strategy, contender: &Contender<'_>) -> Score {
    match strategy {
        Strategy::LongestRunning | Strategy::Plugin(_) => 0,
        Strategy::Priority => contender.priority.saturating_neg(),
        Strategy::Labels(labels) => {
            let first = labels.iter().position(|label| label.is_in(contender.labels));
            count(first.unwrap_or(labels.len()))
        }
        Strategy::Avoid(reasons) => {
            let applies = |reason: &&AvoidRule| match reason {
                AvoidRule::Leader(group) => contender.leads.contains(&group),
                AvoidRule::Label(label) => label.is_in(contender.labels),
            };
            count(reasons.iter().filter(applies).count())
        }
    }
}

/// What the host at the place `own` of a queue should do, if this much speaks
/// against each. `heir` is the one that people want to be next.
#[must_use]
pub fn advise(scores: &[Score], own: usize, heir: Option<usize>) -> Advice {
    let key = |place: &usize| (Reverse(heir == Some(*place)), scores[*place], *place);
    let Some(next) = (1..scores.len()).min_by_key(key) else {
        return Advice::Stay;
    };
    if own >= 1 {
        return if own < next { Advice::StepBack { next } } else { Advice::Stay };
    }
    // Whoever is wanted by people is handed over to by their command.
    if next == 1 && heir.is_none() && scores[1] < scores[0] {
        return Advice::HandOver;
    }
    Advice::Stay
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(value: &str) -> HostLabel {
        HostLabel { name: "size".into(), value: value.into() }
    }

    fn scores(strategy: &Strategy, hosts: &[(&str, i64, &[&Group])]) -> Vec<i64> {
        let score = |(size, priority, leads): &(&str, i64, &[&Group])| {
            let labels = BTreeMap::from([("size".to_owned(), (*size).to_owned())]);
            let leads = leads.to_vec();
            score(strategy, &Contender { host: "a", labels: &labels, priority: *priority, leads })
        };
        hosts.iter().map(score).collect()
    }

    #[test]
    fn each_strategy_has_its_measure() {
        let (web, none): (Group, &[&Group]) = ("web".into(), &[]);
        let hosts = [("small", 1, none), ("big", 3, &[&web][..]), ("medium", -2, none)];
        assert_eq!(scores(&Strategy::LongestRunning, &hosts), [0, 0, 0]);
        assert_eq!(scores(&Strategy::Priority, &hosts), [-1, -3, 2]);
        let labels = Strategy::Labels(vec![label("big"), label("medium")]);
        assert_eq!(scores(&labels, &hosts), [2, 0, 1]);
        let avoid =
            Strategy::Avoid(vec![AvoidRule::Leader(web.clone()), AvoidRule::Label(label("big"))]);
        assert_eq!(scores(&avoid, &hosts), [0, 2, 0]);
    }

    fn told(scores: &[i64], heir: Option<usize>) -> Vec<Advice> {
        (0..scores.len()).map(|own| advise(scores, own, heir)).collect()
    }

    #[test]
    fn equals_stay_in_the_order_in_which_they_came() {
        assert_eq!(told(&[0, 0, 0], None), [Advice::Stay; 3]);
        assert_eq!(told(&[0], None), [Advice::Stay]);
        assert_eq!(told(&[], None), []);
    }

    #[test]
    fn those_before_the_best_step_back_and_nobody_else() {
        let back = Advice::StepBack { next: 3 };
        let stay = Advice::Stay;
        assert_eq!(told(&[0, 2, 2, 1, 1], None), [stay, back, back, stay, stay]);
    }

    #[test]
    fn a_leader_hands_over_to_a_better_one_that_is_next() {
        let stay = Advice::Stay;
        assert_eq!(told(&[1, 0], None), [Advice::HandOver, stay]);
        // Not before it is next: whoever else took over would only be in the way.
        assert_eq!(told(&[2, 2, 0], None), [stay, Advice::StepBack { next: 2 }, stay]);
        assert_eq!(told(&[0, 0], None), [stay; 2]);
    }

    #[test]
    fn whom_people_want_is_next_whatever_speaks_against_it() {
        let (stay, back) = (Advice::Stay, Advice::StepBack { next: 2 });
        assert_eq!(told(&[1, 0, 9], Some(2)), [stay, back, stay]);
        assert_eq!(told(&[1, 9, 0], Some(1)), [stay; 3]);
    }

    /// However they are scored, a queue in which everybody follows comes to rest, with
    /// the best next.
    #[test]
    fn queues_come_to_rest() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut queue: Vec<i64> = (0..random.usize(2..9)).map(|_| random.i64(0..4)).collect();
            let mut rounds = 0;
            loop {
                let advice = told(&queue, None);
                let back = |place: &usize| matches!(advice[*place], Advice::StepBack { .. });
                let (mut last, mut first): (Vec<_>, Vec<_>) = (0..queue.len()).partition(back);
                if last.is_empty() {
                    break;
                }
                random.shuffle(&mut last);
                first.append(&mut last);
                queue = first.iter().map(|place| queue[*place]).collect();
                rounds += 1;
                assert!(rounds < 3, "{seed}");
            }
            assert_eq!(queue.get(1), queue[1..].iter().min(), "{seed}");
        }
    }
}
