//! The leases that answers are attached to. All answers that a host writes within one slice of time
//! share a lease.
//!
//! A lease for each answer would cost the store work with each queued call, and again when it
//! expires. Sharing keeps an answer somewhat longer than required, and never shorter.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;

use soloist_heart::{LeaseId, clock::BootTime};

/// The current lease for each duration that answers are kept for, and since when it is used.
#[derive(Debug, Default)]
pub(crate) struct AnswerLeases(Mutex<BTreeMap<Duration, (LeaseId, BootTime)>>);

impl AnswerLeases {
    /// The time to live of a slice's lease.
    pub(crate) fn ttl(keep: Duration) -> Duration {
        keep + slice_length(keep)
    }

    /// The lease for an answer that is written now, if there is one already.
    pub(crate) fn current(&self, keep: Duration, now: BootTime) -> Option<LeaseId> {
        let leases = self.0.lock();
        let (lease, since) = leases.get(&keep)?;
        (now.since(*since) < slice_length(keep)).then_some(*lease)
    }

    /// Adds a lease that was requested at `since`.
    pub(crate) fn add(&self, keep: Duration, lease: LeaseId, since: BootTime) {
        let mut leases = self.0.lock();
        // A task's settings may change, so leases that are no longer used must be dropped.
        leases.retain(|keep, (_, began)| since.since(*began) < slice_length(*keep));
        leases.insert(keep, (lease, since));
    }

    /// Drops a lease that the store no longer knows.
    pub(crate) fn forget(&self, lease: LeaseId) {
        let mut leases = self.0.lock();
        leases.retain(|_, (other, _)| *other != lease);
    }
}

/// The length of a slice.
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
        let leases = AnswerLeases::default();
        assert_eq!(leases.current(KEEP, at(0)), None);
        leases.add(KEEP, LeaseId(1), at(0));
        assert_eq!(leases.current(KEEP, at(9)), Some(LeaseId(1)));
        assert_eq!(leases.current(KEEP, at(10)), None);
        assert!(at(0) + AnswerLeases::ttl(KEEP) >= at(10) + KEEP);
        assert_eq!(leases.current(KEEP * 2, at(1)), None);
    }

    #[test]
    fn what_is_over_or_lost_is_forgotten() {
        let leases = AnswerLeases::default();
        leases.add(KEEP, LeaseId(1), at(0));
        leases.add(KEEP * 2, LeaseId(2), at(11));
        assert_eq!(leases.0.lock().len(), 1);
        leases.forget(LeaseId(2));
        assert_eq!(leases.current(KEEP * 2, at(11)), None);
    }
}
