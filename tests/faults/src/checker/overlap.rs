//! Did two hosts perform at once?
//!
//! A host has certainly performed under a fencing token from the receipt of the first good answer
//! until the sending of the last request with a good answer. Two of these spans must not overlap.
//! And a request that is sent after the receipt of an answer under a newer fencing token must not
//! be answered under an older one.

use std::collections::BTreeMap;
use std::fmt;

use crate::clock::ms;
use crate::history::Record;

/// A time in which a host has certainly performed under a fencing token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) fencing_token: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// A time in which two hosts performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overlap {
    pub(crate) older: u64,
    pub(crate) newer: u64,
    /// Its length in nanoseconds.
    pub(crate) length: u64,
}

/// A good answer under an older fencing token, to a request that was sent after a newer fencing
/// token had been seen.
#[derive(Clone, Debug)]
pub(crate) struct StaleAnswer {
    pub(crate) answer: Record,
    pub(crate) newer: u64,
    /// How long the newer fencing token had been known, in nanoseconds.
    pub(crate) late: u64,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { older, newer, length } = self;
        let length = ms(*length);
        write!(f, "fencing tokens {older} and {newer} were performed under at once, {length:.3} ms")
    }
}

impl fmt::Display for StaleAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answer, newer, late } = self;
        write!(
            f,
            "{} answered under fencing token {:?} what was sent {:.3} ms after an answer under {newer}: {}",
            answer.asked,
            answer.fencing_token(),
            ms(*late),
            answer.line()
        )
    }
}

/// The certain span of each fencing token. A fencing token with too few answers has none.
pub(crate) fn spans(records: &[Record]) -> Vec<Span> {
    let mut seen = BTreeMap::new();
    for record in records {
        let Some(fencing_token) = record.fencing_token() else { continue };
        let span = seen.entry(fencing_token).or_insert((u64::MAX, 0));
        *span = (span.0.min(record.received), span.1.max(record.sent));
    }
    seen.into_iter()
        .filter(|(_, (from, to))| from < to)
        .map(|(fencing_token, (from, to))| Span { fencing_token, from, to })
        .collect()
}

/// Every overlap of two spans. `spans` are in the order of their fencing tokens.
pub(crate) fn overlaps(spans: &[Span]) -> Vec<Overlap> {
    let mut found = Vec::new();
    for (position, newer) in spans.iter().enumerate() {
        for older in &spans[..position] {
            let (from, to) = (older.from.max(newer.from), older.to.min(newer.to));
            if from <= to {
                let (older, newer) = (older.fencing_token, newer.fencing_token);
                found.push(Overlap { older, newer, length: to - from });
            }
        }
    }
    found
}

/// Every stale answer.
pub(crate) fn stale(records: &[Record]) -> Vec<StaleAnswer> {
    let rises = rises(records);
    let mut found = Vec::new();
    for record in records {
        let Some(fencing_token) = record.fencing_token() else { continue };
        // The first receipt of a newer fencing token. The rises are sorted by time and by fencing
        // token.
        let first = rises.partition_point(|(_, newer)| *newer <= fencing_token);
        if let Some(&(known, newer)) = rises.get(first)
            && record.sent > known
        {
            found.push(StaleAnswer { answer: record.clone(), newer, late: record.sent - known });
        }
    }
    found
}

/// When each newest fencing token became known. Time and fencing token rise from one to the next.
fn rises(records: &[Record]) -> Vec<(u64, u64)> {
    let mut seen: Vec<_> = records
        .iter()
        .filter_map(|record| Some((record.received, record.fencing_token()?)))
        .collect();
    seen.sort_unstable();
    let mut newest = 0;
    seen.retain(|&(_, fencing_token)| {
        let rises = fencing_token > newest;
        newest = newest.max(fencing_token);
        rises
    });
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::made::{good, lost};

    #[test]
    fn one_after_the_other_is_clean() {
        let records =
            [good(5, 10, 20), good(5, 30, 40), lost(50, 60), good(9, 70, 80), good(9, 90, 100)];
        assert_eq!(spans(&records).len(), 2);
        assert!(overlaps(&spans(&records)).is_empty());
        assert!(stale(&records).is_empty());
    }

    #[test]
    fn the_time_in_which_two_performed_is_found_and_measured() {
        let records = [good(5, 10, 20), good(9, 30, 40), good(5, 70, 90), good(9, 60, 100)];
        let overlap = Overlap { older: 5, newer: 9, length: 20 };
        assert_eq!(overlaps(&spans(&records)), [overlap]);
    }

    #[test]
    fn a_newer_token_that_performed_first_overlaps_too() {
        let records = [good(9, 10, 20), good(9, 90, 100), good(5, 30, 40), good(5, 50, 60)];
        assert_eq!(overlaps(&spans(&records))[0].length, 10);
    }

    #[test]
    fn an_answer_that_was_only_received_late_is_no_overlap() {
        // Sent before the newer host performed, and read after it had begun.
        let records = [good(5, 10, 20), good(5, 30, 95), good(9, 40, 50), good(9, 80, 90)];
        assert!(overlaps(&spans(&records)).is_empty());
        assert!(stale(&records).is_empty());
    }

    #[test]
    fn a_single_stale_answer_is_found() {
        // A single answer has no span, but it can be stale.
        let records = [good(5, 60, 70), good(9, 40, 50)];
        let found = stale(&records);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].newer, found[0].late), (9, 10));
    }

    #[test]
    fn the_first_newer_token_counts_not_the_newest() {
        let records = [good(9, 10, 20), good(5, 30, 35), good(12, 40, 50)];
        assert_eq!(stale(&records)[0].newer, 9);
    }
}
