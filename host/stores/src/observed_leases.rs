//! Leases whose end no clock of the store decides: whoever waits for it observes them.
//!
//! Each renewal changes a lease's counter. A lease is over when this process has known one value of
//! the counter for the lease's whole TTL by its own clock, and the drift of two clocks on top, and
//! the lease is then ended by a write that is made only if the counter still has that value.
//!
//! Invariant: such a lease is never over while its holder may rely on it. The value was known here
//! after it was written, so after the renewal that wrote it was sent; the holder counts the TTL from
//! there, and a later renewal would have changed the value. Only clocks that run apart by more than
//! [`Timings::DRIFT_DIVISOR`] allows could break this: freezes and delays make it later on either
//! side, never earlier.

use std::{collections::BTreeMap, time::Duration};

use soloist_heart::{LeaseId, Timings, clock::BootTime};

/// A lease as the store showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ObservedLease {
    pub(super) lease: LeaseId,
    /// Changes with every renewal. Its value means nothing else.
    pub(super) counter: i64,
    pub(super) ttl: Duration,
}

/// The observed leases, each with the moment since which its counter is known to be the same.
#[derive(Debug, Default)]
pub(super) struct ObservedLeases(BTreeMap<LeaseId, (ObservedLease, BootTime)>);

impl ObservedLeases {
    /// Takes in all leases that are `present` in the store. `known_at`: a moment after the store's
    /// answer had arrived, or while nobody else could write.
    pub(super) fn observe(&mut self, present: &[ObservedLease], known_at: BootTime) {
        let before = std::mem::take(&mut self.0);
        for lease in present {
            let same = before.get(&lease.lease).filter(|(seen, _)| seen.counter == lease.counter);
            let since = same.map_or(known_at, |(_, since)| *since);
            self.0.insert(lease.lease, (*lease, since));
        }
    }

    /// The leases that are over at `now`, as they were seen. Each may be ended only if its counter
    /// still has the value that it has here.
    pub(super) fn over(&self, now: BootTime) -> Vec<ObservedLease> {
        let over = self.0.values().filter(|observed| end(observed) <= now);
        over.map(|(lease, _)| *lease).collect()
    }

    /// When the first of them is over, unless it is renewed.
    pub(super) fn first_end(&self) -> BootTime {
        self.0.values().map(end).min().unwrap_or(BootTime::NEVER)
    }
}

fn end((lease, since): &(ObservedLease, BootTime)) -> BootTime {
    *since + lease.ttl + lease.ttl / Timings::DRIFT_DIVISOR
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(counter: i64) -> ObservedLease {
        ObservedLease { lease: LeaseId(7), counter, ttl: Duration::from_secs(1) }
    }

    fn at(ms: u64) -> BootTime {
        BootTime::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn one_that_is_renewed_lives_and_one_that_is_not_ends() {
        let mut leases = ObservedLeases::default();
        leases.observe(&[lease(1)], at(0));
        leases.observe(&[lease(2)], at(900));
        assert_eq!(leases.first_end(), at(1920));
        leases.observe(&[lease(2)], at(1919));
        assert_eq!(leases.over(at(1919)), []);
        assert_eq!(leases.over(at(1920)), [lease(2)]);
    }

    #[test]
    fn one_that_is_gone_is_forgotten() {
        let mut leases = ObservedLeases::default();
        leases.observe(&[lease(1)], at(0));
        leases.observe(&[], at(1));
        assert_eq!(leases.first_end(), BootTime::NEVER);
        // One that comes back is another one, as far as anybody knows.
        leases.observe(&[lease(1)], at(900));
        assert_eq!(leases.first_end(), at(1920));
    }
}
