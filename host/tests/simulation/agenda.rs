//! What is still to happen, in the order of its moments.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Happenings to come. Those of one moment come in the order in which they were entered.
pub(crate) struct Agenda<T> {
    /// Moment, number, place: the happenings themselves are large and stay where they are.
    due: BinaryHeap<Reverse<(u64, u64, usize)>>,
    number: u64,
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { due: BinaryHeap::new(), number: 0, places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Agenda<T> {
    /// Enters a happening at a true time.
    pub(crate) fn at(&mut self, at: u64, happening: T) {
        let place = self.free.pop().unwrap_or(self.places.len());
        if place == self.places.len() {
            self.places.push(None);
        }
        self.places[place] = Some(happening);
        self.number += 1;
        self.due.push(Reverse((at, self.number, place)));
    }

    /// Takes the next happening out, with its moment, unless that is after `end`.
    pub(crate) fn next(&mut self, end: u64) -> Option<(u64, T)> {
        self.due.peek().filter(|Reverse((at, ..))| *at <= end)?;
        let Reverse((at, _, place)) = self.due.pop()?;
        self.free.push(place);
        Some((at, self.places[place].take()?))
    }
}
