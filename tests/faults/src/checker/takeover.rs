//! How long take-overs took, and how long clients got no answers.

use std::time::Duration;

use soloist_devtools::times::Times;

use crate::clock::{ms, ns};
use crate::history::Record;
use crate::injected_fault::{InjectedFault, Rebased};
use crate::kind::{Bound, Kind};

/// The good answers, as times of receipt and fencing tokens, in the order of receipt.
pub(crate) struct Answers(Vec<(u64, u64)>);

impl Answers {
    pub(crate) fn of(records: &[Record]) -> Self {
        let mut good: Vec<_> = records
            .iter()
            .filter_map(|record| Some((record.received, record.fencing_token()?)))
            .collect();
        good.sort_unstable();
        Self(good)
    }

    fn between(&self, from: u64, to: u64) -> &[(u64, u64)] {
        let start = self.0.partition_point(|(received, _)| *received < from);
        let end = self.0.partition_point(|(received, _)| *received <= to);
        self.0.get(start..end).unwrap_or_default()
    }

    /// The time from the moment when another host could take over to the first good answer under a
    /// newer fencing token. None if the term survived the fault.
    pub(crate) fn take_over(&self, fault: &InjectedFault) -> Option<u64> {
        let first = match fault.rebased {
            // Fencing tokens come again, but no host answers between two epochs.
            Some(Rebased::Restored { at, .. }) => self.between(at, fault.steady).first(),
            _ => {
                let during = self.between(fault.since, fault.steady);
                during.iter().find(|(_, fencing_token)| *fencing_token > fault.fencing_token)
            }
        };
        first.map(|(received, _)| received - fault.since)
    }

    /// The longest time without a good answer while the fault had an effect.
    pub(crate) fn silence(&self, fault: &InjectedFault) -> u64 {
        let mut last = fault.at;
        let mut longest = 0;
        for &(received, _) in self.between(fault.at, fault.steady) {
            longest = longest.max(received - last);
            last = received;
        }
        longest.max(fault.steady.saturating_sub(last))
    }
}

/// What faults of one kind have cost.
pub(crate) struct KindCost {
    pub(crate) kind: Kind,
    /// How often it was injected.
    pub(crate) count: usize,
    /// How often it ended a term.
    pub(crate) ended: usize,
    pub(crate) take_overs: Times,
    pub(crate) silences: Times,
}

/// The costs of each kind of fault that was injected.
pub(crate) fn costs(records: &[Record], faults: &[InjectedFault]) -> Vec<KindCost> {
    let answers = Answers::of(records);
    let mut costs = Vec::new();
    for kind in Kind::ALL {
        let mut cost = KindCost {
            kind,
            count: 0,
            ended: 0,
            take_overs: Times::default(),
            silences: Times::default(),
        };
        for fault in faults.iter().filter(|fault| fault.kind == kind) {
            cost.count += 1;
            cost.silences.add(Duration::from_nanos(answers.silence(fault)));
            if let Some(time) = answers.take_over(fault) {
                cost.ended += 1;
                cost.take_overs.add(Duration::from_nanos(time));
            }
        }
        if cost.count > 0 {
            costs.push(cost);
        }
    }
    costs
}

/// The bounds that were exceeded, each as a sentence.
pub(crate) fn broken_bounds(costs: &[KindCost], ttl: Duration) -> Vec<String> {
    let mut broken = Vec::new();
    for bound in Bound::ALL {
        let Some(limit) = bound.limit(ttl) else { continue };
        for cost in costs.iter().filter(|cost| cost.kind.bound() == bound) {
            let p99 = cost.take_overs.percentile(99);
            if p99 > limit {
                broken.push(format!(
                    "{}: the p99 of {} failovers is {:.0} ms, more than {:.0} ms",
                    cost.kind.name(),
                    cost.ended,
                    ms(ns(p99)),
                    ms(ns(limit))
                ));
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::made::{good, lost};
    use crate::injected_fault::made;

    const MS: u64 = 1_000_000;
    const TTL: Duration = Duration::from_secs(2);

    fn fault(kind: Kind) -> InjectedFault {
        let (at, healed, steady) = (100 * MS, 150 * MS, 9000 * MS);
        InjectedFault { fencing_token: 5, at, since: at, healed, steady, ..made::fault(kind) }
    }

    fn history(takes: u64) -> Vec<Record> {
        let next = 100 * MS + takes;
        vec![
            good(5, 90 * MS, 95 * MS),
            good(5, 99 * MS, 105 * MS),
            lost(110 * MS, 200 * MS),
            good(9, next - 2 * MS, next),
            good(9, 8998 * MS, 8999 * MS),
        ]
    }

    #[test]
    fn a_take_over_ends_with_the_first_answer_under_a_newer_token() {
        let answers = Answers::of(&history(40 * MS));
        assert_eq!(answers.take_over(&fault(Kind::Crash)), Some(40 * MS));
        let survived = Answers::of(&[good(5, 120 * MS, 125 * MS)]);
        assert_eq!(survived.take_over(&fault(Kind::Crash)), None);
    }

    #[test]
    fn a_take_over_is_counted_from_when_somebody_could_follow() {
        let answers = Answers::of(&history(40 * MS));
        let stranger = InjectedFault { since: 130 * MS, ..fault(Kind::Stranger) };
        assert_eq!(answers.take_over(&stranger), Some(10 * MS));
    }

    #[test]
    fn after_a_restore_any_token_is_a_new_one() {
        let answers = Answers::of(&[good(5, 90 * MS, 150 * MS), good(3, 300 * MS, 310 * MS)]);
        let fault = fault(Kind::Restore);
        let rebased = made::restored(90 * MS, 190 * MS, 200 * MS).rebased;
        assert_eq!(answers.take_over(&InjectedFault { rebased, ..fault.clone() }), Some(210 * MS));
        assert_eq!(answers.take_over(&fault), None);
    }

    #[test]
    fn silence_is_the_longest_time_without_a_good_answer() {
        let answers = Answers::of(&history(400 * MS));
        assert_eq!(answers.silence(&fault(Kind::Crash)), 8499 * MS);
        assert_eq!(Answers::of(&[]).silence(&fault(Kind::Crash)), 8900 * MS);
    }

    #[test]
    fn each_bound_is_held_or_told_of() {
        for (kind, takes, is_broken) in [
            (Kind::Crash, 99, false),
            (Kind::Crash, 101, true),
            (Kind::MachineCrash, 3500, false),
            (Kind::MachineCrash, 3501, true),
            (Kind::PartitionStore, 3501, true),
            (Kind::EtcdDown, 8000, false),
            (Kind::Stranger, 1000, false),
            (Kind::LoginExpiry, 1001, true),
            (Kind::HungFile, 2000, false),
            (Kind::HungFile, 2001, true),
        ] {
            let costs = costs(&history(takes * MS), &[fault(kind)]);
            assert_eq!(costs.len(), 1);
            let broken = broken_bounds(&costs, TTL);
            assert_eq!(!broken.is_empty(), is_broken, "{kind:?} {takes}: {broken:?}");
        }
    }
}
