//! Reads all histories and says whether soloist has kept its promises.

pub(crate) mod overlap;
pub(crate) mod register;
pub(crate) mod takeover;

mod hosts;

use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) use self::hosts::HostLog;
use self::overlap::Overlap;
use self::register::Register;
use self::takeover::{Cost, Injected};
use super::clock::ms;
use super::history::{Outcome, Record};

/// Everything that was written down in a run.
pub(crate) struct Histories {
    /// What the clients have seen.
    pub(crate) records: Vec<Record>,
    /// Requests that found nobody to connect to, which have no record.
    pub(crate) unreached: u64,
    /// What the register was at the end, where there was one.
    pub(crate) register: Option<u64>,
    pub(crate) faults: Vec<Injected>,
    pub(crate) hosts: Vec<HostLog>,
}

/// What the histories come to.
pub(crate) struct Verdict {
    /// Broken promises, each as a sentence. None: all were kept.
    pub(crate) violations: Vec<String>,
    /// How many tokens were performed under.
    pub(crate) terms: usize,
    pub(crate) overlaps: Vec<Overlap>,
    pub(crate) stale: usize,
    pub(crate) register: Option<Register>,
    pub(crate) costs: Vec<Cost>,
    /// How many answers of each status; 0 stands for a request without one.
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) unreached: u64,
    /// How often hosts ended terms, by cause, as their logs say.
    pub(crate) causes: BTreeMap<String, u64>,
}

impl Verdict {
    /// How long two performed at once, in all and at most, in milliseconds.
    pub(crate) fn overlap_ms(&self) -> (f64, f64) {
        let lengths = || self.overlaps.iter().map(|overlap| overlap.length);
        (ms(lengths().sum()), ms(lengths().max().unwrap_or_default()))
    }
}

/// Reads the histories of a run with leases of `ttl`.
pub(crate) fn check(histories: &Histories, ttl: Duration) -> Verdict {
    let records = &histories.records;
    let mut violations = Vec::new();
    let overlaps = overlap::overlaps(&overlap::spans(records));
    violations.extend(overlaps.iter().map(|overlap| {
        let Overlap { older, newer, length } = overlap;
        format!("tokens {older} and {newer} were performed under at once, {:.3} ms", ms(*length))
    }));
    let stale = overlap::stale(records);
    violations.extend(stale.iter().map(|stale| {
        format!(
            "{} answered under token {:?} what was sent {:.3} ms after an answer under {}: {}",
            stale.answer.asked,
            stale.answer.token(),
            ms(stale.late),
            stale.newer,
            stale.answer.line()
        )
    }));
    violations.extend(unsigned(records));
    let register = histories.register.map(|last| register::check(records, last));
    if let Some(Register { lost, doubled, stale, unreadable, .. }) = &register {
        for list in [lost, doubled, stale, unreadable] {
            violations.extend(list.iter().map(|what| format!("register: {what}")));
        }
    }
    let costs = takeover::costs(records, &histories.faults);
    violations.extend(takeover::broken_bounds(&costs, ttl));
    violations.extend(hosts::check(&histories.hosts));
    Verdict {
        violations,
        terms: tokens(records),
        overlaps,
        stale: stale.len(),
        register,
        costs,
        statuses: statuses(records),
        unreached: histories.unreached,
        causes: hosts::causes(&histories.hosts),
    }
}

/// Good answers that do not say who gave them under which token.
fn unsigned(records: &[Record]) -> Vec<String> {
    let good = records.iter().filter_map(|record| Some((record, record.good()?)));
    good.filter(|(_, answer)| answer.token.is_none() || answer.host.is_none())
        .map(|(record, _)| format!("an answer has no token or host: {}", record.line()))
        .collect()
}

fn tokens(records: &[Record]) -> usize {
    let mut tokens: Vec<_> = records.iter().filter_map(Record::token).collect();
    tokens.sort_unstable();
    tokens.dedup();
    tokens.len()
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
    use crate::faults::history::made::write;
    use crate::faults::plan::Kind;

    fn clean() -> Histories {
        let log = HostLog { host: "a".into(), led: vec![5, 9], ..HostLog::default() };
        let fault = Injected {
            kind: Kind::Crash,
            target: "a".into(),
            token: 5,
            at: 35,
            healed: 40,
            steady: 100,
        };
        Histories {
            records: vec![write(5, 1, 10, 20), write(5, 2, 30, 34), write(9, 3, 50, 60)],
            unreached: 7,
            register: Some(4),
            faults: vec![fault],
            hosts: vec![log],
        }
    }

    fn violations(histories: &Histories) -> Vec<String> {
        check(histories, Duration::from_secs(2)).violations
    }

    #[test]
    fn a_clean_history_passes() {
        assert_eq!(violations(&clean()), Vec::<String>::new());
    }

    /// Each spoils a clean history in one way; the words are in what is said of it.
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
            ("no token or host", |h| {
                if let Outcome::Answer(answer) = &mut h.records[0].outcome {
                    answer.token = None;
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
            let found = violations(&histories);
            assert!(found.iter().any(|text| text.contains(words)), "{words}: {found:?}");
        }
    }
}
