//! What is still to happen, in the order of its moments.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Happenings to come. Those of one moment come in the order in which they were entered.
pub(crate) struct Agenda<T> {
    /// Moment, number and place in one number, which is quick to compare. The happenings
    /// themselves are large and stay where they are.
    due: BinaryHeap<Reverse<u128>>,
    number: u32,
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
        let order = u128::from(at) << 64 | u128::from(self.number) << 32 | place as u128;
        self.due.push(Reverse(order));
    }

    /// Takes the next happening out, with its moment, unless that is after `end`.
    pub(crate) fn next(&mut self, end: u64) -> Option<(u64, T)> {
        self.due.peek().filter(|Reverse(order)| (order >> 64) as u64 <= end)?;
        let Reverse(order) = self.due.pop()?;
        let (at, place) = ((order >> 64) as u64, order as u32 as usize);
        self.free.push(place);
        Some((at, self.places[place].take()?))
    }
}
