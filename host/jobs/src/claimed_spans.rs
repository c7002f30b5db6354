//! Which runs of a job were claimed.
//!
//! A single "latest claimed" time could not say that: one claim by a host whose clock is a day
//! ahead would move it by a day, and the runs in between would never run. So claims are kept as
//! spans of time, each of which contains no unclaimed run. When the clock is set back, or a
//! leader with a right clock takes over, the runs that were left out are found.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The most spans that are kept. Missed runs end a span as well, so there can be more; then the
/// two spans with the smallest gap between them are merged. A gap of hours, left by a clock that
/// was ahead, is merged last.
const SPANS_MAX: usize = 16;

/// The scheduled times of the runs that were claimed, as spans.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimedSpans(Vec<ClaimedSpan>);

/// All runs between two times, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct ClaimedSpan {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
}

impl ClaimedSpans {
    /// All runs from `from` to `to`, both included.
    #[must_use]
    pub fn all(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        Self(vec![ClaimedSpan { from, to }])
    }

    /// These, and the run at `at`, which is the first unclaimed one after `settled`.
    #[must_use]
    pub fn including(&self, settled: DateTime<Utc>, at: DateTime<Utc>) -> Self {
        let mut spans = self.0.clone();
        match spans.iter_mut().find(|span| span.to == settled) {
            Some(span) => span.to = span.to.max(at),
            None => spans.push(ClaimedSpan { from: at, to: at }),
        }
        spans.sort_unstable();
        let mut apart = Vec::<ClaimedSpan>::with_capacity(spans.len());
        for span in spans {
            match apart.last_mut().filter(|last| span.from <= last.to) {
                Some(last) => last.to = last.to.max(span.to),
                None => apart.push(span),
            }
        }
        while apart.len() > SPANS_MAX {
            let gap = |after: &usize| apart[*after].from - apart[*after - 1].to;
            // Of several gaps of the same size, the oldest.
            let Some(after) = (1..apart.len()).min_by_key(gap) else { break };
            apart[after].from = apart[after - 1].from;
            apart.remove(after - 1);
        }
        Self(apart)
    }

    /// The end of the span around `at`, if `at` is claimed.
    #[must_use]
    pub fn end_around(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let around = self.0.iter().find(|span| span.from <= at && at <= span.to);
        around.map(|span| span.to)
    }

    /// The end of the last span that ends at `now` or before.
    #[must_use]
    pub fn end_before(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.iter().map(|span| span.to).rfind(|to| *to <= now)
    }

    /// The spans between two moments, cut off there.
    pub(crate) fn spans_within(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> impl Iterator<Item = (DateTime<Utc>, DateTime<Utc>)> {
        let cut = self.0.iter().map(move |span| (span.from.max(from), span.to.min(to)));
        cut.filter(|(from, to)| from <= to)
    }

    /// Shortens the spans that contain `now`, so that they end there.
    pub(crate) fn cut(&mut self, now: DateTime<Utc>) {
        for span in self.0.iter_mut().filter(|span| span.from <= now) {
            span.to = span.to.min(now);
        }
    }

    /// Whether no run was claimed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    /// The spans after `claims`, each given as the time settled before and the time claimed.
    fn claimed(claims: &[(i64, i64)]) -> ClaimedSpans {
        let with = |claimed: ClaimedSpans, (settled, it): &(i64, i64)| {
            claimed.including(at(*settled), at(*it))
        };
        claims.iter().fold(ClaimedSpans::default(), with)
    }

    fn spans(claimed: &ClaimedSpans) -> Vec<(i64, i64)> {
        let seconds = |span: &ClaimedSpan| (span.from.timestamp(), span.to.timestamp());
        claimed.0.iter().map(seconds).collect()
    }

    #[test]
    fn one_after_another_is_one_span_and_a_gap_makes_another() {
        assert_eq!(spans(&claimed(&[(0, 2), (2, 4), (4, 6)])), [(2, 6)]);
        let ahead = claimed(&[(0, 2), (2, 4), (100, 102), (102, 104)]);
        assert_eq!(spans(&ahead), [(2, 4), (102, 104)]);
        // A leader with an earlier clock goes on from there, and skips what was claimed ahead.
        let back = ahead.including(at(4), at(6));
        assert_eq!(spans(&back), [(2, 6), (102, 104)]);
        assert_eq!(spans(&back.including(at(6), at(106))), [(2, 106)]);
        assert_eq!(back.end_around(at(103)), Some(at(104)));
        assert_eq!((back.end_around(at(7)), back.end_before(at(103))), (None, Some(at(6))));
    }

    #[test]
    fn old_spans_come_together() {
        let many: Vec<_> = (0..100).map(|n| (10 * n + 5, 10 * n + 7)).collect();
        let claimed = claimed(&many);
        assert_eq!(claimed.0.len(), SPANS_MAX);
        assert!(many.iter().all(|(_, it)| claimed.end_around(at(*it)).is_some()));
        assert_eq!(claimed.end_around(at(995)), None, "the latest stay apart");
    }

    /// A job that misses a run after each one that it runs, on a host whose clock is 20 hours
    /// ahead: the 20 hours never count as claimed.
    #[test]
    fn a_clock_that_ran_ahead_leaves_its_gap() {
        let ahead = 20 * 3600;
        let mut claimed = claimed(&[(0, 2), (2, 4)]);
        for n in 0..1000 {
            claimed = claimed.including(at(ahead + 10 * n + 5), at(ahead + 10 * n + 7));
        }
        assert_eq!(claimed.0.len(), SPANS_MAX);
        for second in [5, 3600, ahead - 1] {
            assert_eq!(claimed.end_around(at(second)), None, "{second}");
        }
        assert_eq!(claimed.end_before(at(3600)), Some(at(4)));
    }

    #[test]
    fn what_reaches_ahead_is_cut() {
        let mut claimed = claimed(&[(0, 2), (2, 1000), (1500, 2000)]);
        claimed.cut(at(500));
        assert_eq!(spans(&claimed), [(2, 500), (2000, 2000)]);
    }
}
