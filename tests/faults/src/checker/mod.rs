//! Reads all histories, and decides whether soloist has kept its promises.

pub(crate) mod overlap;
pub(crate) mod register;
pub(crate) mod takeover;

mod epochs;
mod hosts;
#[cfg(test)]
mod mutants;
mod promise;
mod stretch;

use std::collections::BTreeMap;
use std::time::Duration;

use self::epochs::Epoch;
pub(crate) use self::hosts::{EPOCH, HostLog};
use self::overlap::Overlap;
pub(crate) use self::promise::{Promise, Violation};
use self::register::Register;
use self::takeover::KindCost;
use super::clock::ms;
use super::history::{Outcome, Record};
use super::injected_fault::InjectedFault;

/// Everything that was recorded in a run.
pub(crate) struct Histories {
    /// The requests of the clients.
    pub(crate) records: Vec<Record>,
    /// The number of requests without a connection; they have no record.
    pub(crate) unreached: u64,
    /// The last value of the register, if the run had one.
    pub(crate) register: Option<u64>,
    pub(crate) faults: Vec<InjectedFault>,
    pub(crate) hosts: Vec<HostLog>,
}

/// The result of the checks.
pub(crate) struct Verdict {
    /// The broken promises; empty if all were kept.
    pub(crate) violations: Vec<Violation>,
    /// The number of fencing tokens under which a host has answered.
    pub(crate) terms: usize,
    pub(crate) overlaps: Vec<Overlap>,
    pub(crate) stale: usize,
    /// The number of answers between the last host's report that the store went back, and the
    /// restart.
    pub(crate) overdue: usize,
    /// The number of checks during faults, and of those that failed.
    pub(crate) observations: (usize, usize),
    pub(crate) register: Option<Register>,
    pub(crate) costs: Vec<KindCost>,
    /// The number of answers with each status; 0 stands for requests without an answer.
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) unreached: u64,
    /// The number of terms that each cause has ended, by the hosts' logs.
    pub(crate) causes: BTreeMap<String, u64>,
}

impl Verdict {
    /// How long two hosts performed at once: the sum and the maximum, in milliseconds.
    pub(crate) fn overlap_ms(&self) -> (f64, f64) {
        let lengths = || self.overlaps.iter().map(|overlap| overlap.length);
        (ms(lengths().sum()), ms(lengths().max().unwrap_or_default()))
    }
}

/// Checks the histories of a run whose leases have this `ttl`.
pub(crate) fn check(mut histories: Histories, ttl: Duration) -> Verdict {
    histories.records.sort_by_key(|record| record.sent);
    let Histories { records, faults, .. } = &histories;
    let epochs = epochs::split(records, faults);
    let mut broken = Broken::default();
    let (mut overlaps, mut stale) = (Vec::new(), 0);
    for epoch in &epochs {
        overlaps.extend(overlap::overlaps(&overlap::spans(epoch.records)));
        let found = overlap::stale(epoch.records);
        stale += found.len();
        broken.add(Promise::NoStaleAnswer, found);
    }
    broken.add(Promise::OneLeaderAtATime, &overlaps);
    let overdue: Vec<_> = epochs.iter().flat_map(Epoch::overdue).collect();
    let failed_observations: Vec<_> =
        faults.iter().flat_map(InjectedFault::failed_observations).collect();
    let observations =
        (faults.iter().map(|fault| fault.observations.len()).sum(), failed_observations.len());
    let late = overdue.len();
    broken.add(Promise::NoAnswerAfterRestore, overdue);
    broken.add(Promise::FaultsAreReported, failed_observations);
    broken.add(Promise::AnswersAreSigned, unsigned(records));
    let register = histories.register.map(|last| register::check(&epochs, last));
    if let Some(register) = &register {
        broken.add_register(register);
    }
    let costs = takeover::costs(records, faults);
    broken.add(Promise::TakeOverInTime, takeover::broken_bounds(&costs, ttl));
    broken.add(Promise::NoPanic, hosts::panics(&histories.hosts));
    broken.add(Promise::OneTermPerToken, hosts::shared_fencing_tokens(&histories.hosts));
    Verdict {
        violations: broken.0,
        terms: epochs.iter().map(|epoch| fencing_tokens(epoch.records)).sum(),
        overlaps,
        stale,
        overdue: late,
        observations,
        register,
        costs,
        statuses: statuses(records),
        unreached: histories.unreached,
        causes: hosts::causes(&histories.hosts),
    }
}

/// The violations that were found so far.
#[derive(Default)]
struct Broken(Vec<Violation>);

impl Broken {
    fn add<T: ToString>(&mut self, promise: Promise, texts: impl IntoIterator<Item = T>) {
        self.0.extend(texts.into_iter().map(|text| Violation::new(promise, text)));
    }

    fn add_register(&mut self, register: &Register) {
        let Register { lost, doubled, stale, unreadable, .. } = register;
        for (promise, list) in [
            (Promise::NoWriteLost, lost),
            (Promise::NoWriteDoubled, doubled),
            (Promise::NoStaleWrite, stale),
            (Promise::RegisterIsReadable, unreadable),
        ] {
            self.add(promise, list.iter().map(|what| format!("register: {what}")));
        }
    }
}

/// Good answers without a host or a fencing token, each as a sentence.
fn unsigned(records: &[Record]) -> Vec<String> {
    let good = records.iter().filter_map(|record| Some((record, record.good()?)));
    good.filter(|(_, answer)| answer.fencing_token.is_none() || answer.host.is_none())
        .map(|(record, _)| format!("an answer has no fencing token or host: {}", record.line()))
        .collect()
}

fn fencing_tokens(records: &[Record]) -> usize {
    let mut fencing_tokens: Vec<_> = records.iter().filter_map(Record::fencing_token).collect();
    fencing_tokens.sort_unstable();
    fencing_tokens.dedup();
    fencing_tokens.len()
}

fn statuses(records: &[Record]) -> BTreeMap<u16, u64> {
    let mut counts = BTreeMap::new();
    for record in records {
        let status = match &record.outcome {
            Outcome::Answer(answer) => answer.status,
            Outcome::Lost(_) | Outcome::Unreached => 0,
        };
        *counts.entry(status).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::made::{good, write};
    use crate::injected_fault::made::{fault, restored};
    use crate::injected_fault::{Observation, Rebased};
    use crate::kind::Kind;

    fn clean() -> Histories {
        let log = HostLog { host: "a".into(), led: vec![(0, 5), (0, 9)], ..HostLog::default() };
        let (at, healed, steady) = (35, 40, 100);
        let crash =
            InjectedFault { fencing_token: 5, at, since: at, healed, steady, ..fault(Kind::Crash) };
        Histories {
            records: vec![write(5, 1, 10, 20), write(5, 2, 30, 34), write(9, 3, 50, 60)],
            unreached: 7,
            register: Some(4),
            faults: vec![crash],
            hosts: vec![log],
        }
    }

    /// The same, with a restore at 200 to the state at 40: fencing tokens and values come again.
    fn with_a_restore() -> Histories {
        let mut histories = clean();
        histories.records.push(good(9, 70, 80));
        histories.records.extend([write(5, 3, 210, 220), write(5, 4, 230, 240)]);
        histories.register = Some(5);
        histories.hosts[0].led.push((1, 5));
        let (at, healed, steady) = (145, 150, 300);
        let restore = InjectedFault { at, since: at, healed, steady, ..restored(40, 150, 200) };
        histories.faults.push(restore);
        histories
    }

    fn violations(histories: Histories) -> Vec<String> {
        let verdict = check(histories, Duration::from_secs(2));
        verdict.violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_clean_history_passes() {
        assert_eq!(violations(clean()), Vec::<String>::new());
        assert_eq!(violations(with_a_restore()), Vec::<String>::new());
    }

    /// Without its epochs, this would be a history of two leaders.
    #[test]
    fn a_restore_alone_allows_tokens_to_come_again() {
        let mut histories = with_a_restore();
        histories.faults.pop();
        let found = violations(histories);
        for words in ["what was sent", "acknowledged twice", "and then the older fencing token"] {
            assert!(found.iter().any(|text| text.contains(words)), "{words}: {found:?}");
        }
    }

    /// Fencing tokens may fall from one epoch to the next, but not within one.
    #[test]
    fn each_violation_is_caught_beside_a_restore() {
        type Spoil = fn(&mut Histories);
        let cases: [(&str, Spoil); 6] = [
            ("5 and 9 were performed under at once", |h| {
                h.records.extend([good(9, 215, 225), good(9, 226, 228), good(5, 241, 245)]);
            }),
            ("what was sent", |h| h.records.push(good(4, 221, 225))),
            ("after a restore", |h| h.records.push(good(9, 160, 170))),
            ("after a restore", |h| h.records.push(good(9, 140, 201))),
            ("before a snapshot", |h| {
                let Some(Rebased::Restored { saved, .. }) = &mut h.faults[1].rebased else {
                    return;
                };
                *saved = (70, 70);
            }),
            ("all say so, but b says nothing", |h| {
                let (what, failed) = ("all say so".into(), vec!["b says nothing".into()]);
                h.faults[1].observations.push(Observation { what, failed });
            }),
        ];
        for (words, spoil) in cases {
            let mut histories = with_a_restore();
            spoil(&mut histories);
            let found = violations(histories);
            assert!(found.iter().any(|text| text.contains(words)), "{words}: {found:?}");
        }
    }

    /// Each case breaks a clean history in one way; the violation contains these words.
    #[test]
    fn each_violation_is_caught() {
        type Spoil = fn(&mut Histories);
        let cases: [(&str, Spoil); 9] = [
            ("at once", |h| {
                h.records.extend([write(5, 4, 40, 45), write(9, 5, 41, 42), write(5, 6, 70, 80)]);
                h.register = Some(7);
            }),
            ("what was sent", |h| {
                h.records.push(write(5, 4, 61, 65));
                h.register = Some(5);
            }),
            ("was acknowledged, and a request sent", |h| h.records[2] = write(9, 1, 50, 60)),
            ("acknowledged twice", |h| h.records[1] = write(5, 1, 15, 34)),
            ("a last request got", |h| h.register = Some(3)),
            ("asked to count", |h| h.register = Some(5)),
            ("no fencing token or host", |h| {
                if let Outcome::Answer(answer) = &mut h.records[0].outcome {
                    answer.fencing_token = None;
                }
            }),
            ("more than 100 ms", |h| {
                h.faults[0].steady = 300_000_000;
                h.records[2] = write(9, 3, 150_000_000, 200_000_000);
            }),
            ("panic", |h| h.hosts[0].panics.push("thread panicked".into())),
        ];
        for (words, spoil) in cases {
            let mut histories = clean();
            spoil(&mut histories);
            let found = violations(histories);
            assert!(found.iter().any(|text| text.contains(words)), "{words}: {found:?}");
        }
    }
}
