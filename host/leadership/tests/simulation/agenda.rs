//! The agenda: events that are still to come, ordered by time.

use crate::simulation::MS;

/// Events are stored by time spans of this length, in nanoseconds. There are few in each, so
/// searching one is quick.
const SPAN: u64 = 25 * MS;
/// No simulation lasts this many spans; events further ahead never happen.
const SPANS_MAX: usize = 1_000_000;

/// The events to come. Events of the same moment happen in the order in which they were added.
pub(crate) struct Agenda<T> {
    spans: Vec<Vec<(u64, T)>>,
    /// All earlier spans are empty.
    current: usize,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { spans: Vec::new(), current: 0 }
    }
}

impl<T> Agenda<T> {
    /// Adds an event at a true time.
    pub(crate) fn at(&mut self, at: u64, event: T) {
        let span = usize::try_from(at / SPAN).unwrap_or(usize::MAX);
        if span >= SPANS_MAX {
            return;
        }
        if span >= self.spans.len() {
            self.spans.resize_with(span + 1, Vec::new);
        }
        self.spans[span].push((at, event));
    }

    /// Removes and returns the next event with its time, unless that is after `end`.
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
