//! Strategies: which host should lead, and what a host does about its place in the queue.
//!
//! The store's election decides who leads, in the order in which hosts joined the queue. A strategy
//! changes that order only through what each host does voluntarily:
//!
//! ```text
//!   a standby before the one that should be next    steps back: leaves, and stands again, last
//!   the leader, if the next one should lead         hands over, where the group's settings say so
//! ```
//!
//! So the preferred host is already in place before it is needed, and a preferred host takes over
//! as quickly as any other. Whatever a strategy says, two hosts never lead at once: each host only
//! moves its own candidate.

use std::{cmp::Reverse, collections::BTreeMap, fmt, path::PathBuf};

use super::Group;

/// How the hosts of a group are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The host that has been in the queue longest leads next.
    LongestRunning,
    /// The host with the highest `host.priority`.
    Priority,
    /// The hosts that carry the first of these labels, then the second, and so on.
    Labels(Vec<HostLabel>),
    /// The host to which the fewest of these rules apply.
    Avoid(Vec<AvoidRule>),
    /// A plugin ranks the hosts.
    Plugin(PathBuf),
}

/// A label of a host, with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLabel {
    /// The name of the label.
    pub name: String,
    /// The value of the label.
    pub value: String,
}

impl HostLabel {
    /// Whether `labels` contains this label with this value.
    #[must_use]
    pub fn is_in(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(&self.name) == Some(&self.value)
    }
}

/// A reason to avoid a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AvoidRule {
    /// The host leads this group.
    Leader(Group),
    /// The host carries this label.
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

/// A host that stands in a group, as a strategy sees it.
#[derive(Clone, Debug)]
pub struct Contender<'a> {
    /// The host's name.
    pub host: &'a str,
    /// The host's labels.
    pub labels: &'a BTreeMap<String, String>,
    /// The host's priority; more is better.
    pub priority: i64,
    /// The other groups that the host leads.
    pub leads: Vec<&'a Group>,
}

/// How unsuitable a contender is: the one with the lowest score should lead.
pub type Score = i64;

/// What a host should do about its place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Do nothing.
    Stay,
    /// Leave the queue and stand again in last place, since a host further back should be next.
    StepBack {
        /// The position of the host that should be next, counted from 0.
        next: usize,
    },
    /// Hand the leadership over to the next host in line.
    HandOver,
}

/// The score of `contender` under `strategy`. A plugin's ranking is not known here, so it scores 0.
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

/// What the host at position `own` of a queue should do, given the scores of all hosts in it.
/// `next_leader` is the position of the host that people want to be next.
#[must_use]
pub fn advise(scores: &[Score], own: usize, next_leader: Option<usize>) -> Advice {
    let key = |place: &usize| (Reverse(next_leader == Some(*place)), scores[*place], *place);
    let Some(next) = (1..scores.len()).min_by_key(key) else {
        return Advice::Stay;
    };
    if own >= 1 {
        return if own < next { Advice::StepBack { next } } else { Advice::Stay };
    }
    // If people want a certain host next, their command itself makes the leader hand over to it.
    if next == 1 && next_leader.is_none() && scores[1] < scores[0] {
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

    fn told(scores: &[i64], next_leader: Option<usize>) -> Vec<Advice> {
        (0..scores.len()).map(|own| advise(scores, own, next_leader)).collect()
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
        // The leader waits until the better host is next: anybody else who took over would only be
        // in the way.
        assert_eq!(told(&[2, 2, 0], None), [stay, Advice::StepBack { next: 2 }, stay]);
        assert_eq!(told(&[0, 0], None), [stay; 2]);
    }

    #[test]
    fn whom_people_want_is_next_whatever_speaks_against_it() {
        let (stay, back) = (Advice::Stay, Advice::StepBack { next: 2 });
        assert_eq!(told(&[1, 0, 9], Some(2)), [stay, back, stay]);
        assert_eq!(told(&[1, 9, 0], Some(1)), [stay; 3]);
    }

    /// Whatever the scores are, a queue in which every host follows the advice settles, with the
    /// best host next in line.
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
