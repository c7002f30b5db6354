//! What is still to happen, in the order of its moments.

use crate::simulation::MS;

/// Happenings are kept by spans of so many nanoseconds: few in each, which are quickly looked
/// through.
const SPAN: u64 = 25 * MS;
/// No world lasts as many spans, so that what is further ahead never happens.
const SPANS_MAX: usize = 1_000_000;

/// Happenings to come. Those of one moment come in the order in which they were entered.
pub(crate) struct Agenda<T> {
    spans: Vec<Vec<(u64, T)>>,
    /// In those before it nothing is left.
    current: usize,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { spans: Vec::new(), current: 0 }
    }
}

impl<T> Agenda<T> {
    /// Enters a happening at a true time.
    pub(crate) fn at(&mut self, at: u64, happening: T) {
        let span = usize::try_from(at / SPAN).unwrap_or(usize::MAX);
        if span >= SPANS_MAX {
            return;
        }
        if span >= self.spans.len() {
            self.spans.resize_with(span + 1, Vec::new);
        }
        self.spans[span].push((at, happening));
    }

    /// Takes the next happening out, with its moment, unless that is after `end`.
    pub(crate) fn next(&mut self, end: u64) -> Option<(u64, T)> {
        loop {
            let span = self.spans.get_mut(self.current)?;
            let (mut next, mut earliest) = (0, u64::MAX);
            for (place, (at, _)) in span.iter().enumerate() {
                if *at < earliest {
                    (next, earliest) = (place, *at);
                }
            }
            if earliest <= end {
                return Some(span.remove(next));
            }
            if !span.is_empty() || (self.current as u64 + 1) * SPAN > end {
                return None;
            }
            self.current += 1;
        }
    }
}
