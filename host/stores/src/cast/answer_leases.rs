//! The leases that answers hang on: one for all that a host writes in a slice of time.
//!
//! A lease of its own for each answer would be work for the store with each
//! cast, and again when it expires. An answer is thereby kept somewhat longer
//! than it has to be, and never shorter.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;

use soloist_heart::{LeaseId, clock::BootTime};

/// The present slice of each span that answers are kept for.
#[derive(Debug, Default)]
pub(crate) struct AnswerLeases(Mutex<BTreeMap<Duration, (LeaseId, BootTime)>>);

impl AnswerLeases {
    /// How long the lease of a slice lives.
    pub(crate) fn ttl(keep: Duration) -> Duration {
        keep + slice_length(keep)
    }

    /// The lease for an answer that is written now, if there is one already.
    pub(crate) fn current(&self, keep: Duration, now: BootTime) -> Option<LeaseId> {
        let slices = self.0.lock();
        let (lease, since) = slices.get(&keep)?;
        (now.since(*since) < slice_length(keep)).then_some(*lease)
    }

    /// Takes note of a lease that was asked for at `since`.
    pub(crate) fn open(&self, keep: Duration, lease: LeaseId, since: BootTime) {
        let mut slices = self.0.lock();
        // A task's settings may change, so what is over is not kept for ever.
        slices.retain(|keep, (_, began)| since.since(*began) < slice_length(*keep));
        slices.insert(keep, (lease, since));
    }

    /// Forgets a lease that the store does not know.
    pub(crate) fn forget(&self, lease: LeaseId) {
        let mut slices = self.0.lock();
        slices.retain(|_, (other, _)| *other != lease);
    }
}

/// How long a slice is.
fn slice_length(keep: Duration) -> Duration {
    (keep / 8).max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(80);

    fn at(seconds: u64) -> BootTime {
        BootTime::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn an_answer_lives_as_long_as_it_should_wherever_in_its_slice_it_is_written() {
        let slices = AnswerLeases::default();
        assert_eq!(slices.current(KEEP, at(0)), None);
        slices.open(KEEP, LeaseId(1), at(0));
        assert_eq!(slices.current(KEEP, at(9)), Some(LeaseId(1)));
        assert_eq!(slices.current(KEEP, at(10)), None);
        assert!(at(0) + AnswerLeases::ttl(KEEP) >= at(10) + KEEP);
        assert_eq!(slices.current(KEEP * 2, at(1)), None);
    }

    #[test]
    fn what_is_over_or_lost_is_forgotten() {
        let slices = AnswerLeases::default();
        slices.open(KEEP, LeaseId(1), at(0));
        slices.open(KEEP * 2, LeaseId(2), at(11));
        assert_eq!(slices.0.lock().len(), 1);
        slices.forget(LeaseId(2));
        assert_eq!(slices.current(KEEP * 2, at(11)), None);
    }
}
