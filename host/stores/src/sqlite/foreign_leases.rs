//! Leases that were written under another clock: that of an earlier boot, of another time
//! namespace, or of another machine that shares the file.
//!
//! Their expiry time means nothing on this clock. Such a lease has expired when this process has
//! seen it unrenewed for its whole TTL.

use std::{collections::BTreeMap, time::Duration};

use soloist_heart::{LeaseId, clock::BootTime};

/// A lease of another clock, as stored in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct ForeignLease {
    pub(super) lease: LeaseId,
    /// The stored expiry. It changes with every renewal; its value means nothing here.
    pub(super) expires: i64,
    pub(super) ttl: Duration,
}

/// The observed leases, each with the moment since which it is unchanged.
#[derive(Debug, Default)]
pub(super) struct ForeignLeases(BTreeMap<LeaseId, (ForeignLease, BootTime)>);

impl ForeignLeases {
    /// Observes the leases that are `present` now, and returns those that have expired.
    pub(super) fn observe(&mut self, present: &[ForeignLease], now: BootTime) -> Vec<LeaseId> {
        let before = std::mem::take(&mut self.0);
        for stranger in present {
            let same = before.get(&stranger.lease).filter(|(s, _)| s.expires == stranger.expires);
            let since = same.map_or(now, |(_, since)| *since);
            self.0.insert(stranger.lease, (*stranger, since));
        }
        let over = self.0.values().filter(|entry| end(entry) <= now);
        over.map(|(stranger, _)| stranger.lease).collect()
    }

    /// When the first of them expires, unless it is renewed.
    pub(super) fn first_end(&self) -> BootTime {
        self.0.values().map(end).min().unwrap_or(BootTime::NEVER)
    }
}

/// The TTL, plus the amount that two clocks may drift apart in that time.
fn end((stranger, since): &(ForeignLease, BootTime)) -> BootTime {
    *since + stranger.ttl + stranger.ttl / 50
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(expires: i64) -> ForeignLease {
        ForeignLease { lease: LeaseId(7), expires, ttl: Duration::from_secs(1) }
    }

    fn at(ms: u64) -> BootTime {
        BootTime::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn one_that_is_renewed_lives_and_one_that_is_not_ends() {
        let mut strangers = ForeignLeases::default();
        assert_eq!(strangers.observe(&[stranger(1)], at(0)), []);
        assert_eq!(strangers.observe(&[stranger(2)], at(900)), []);
        assert_eq!(strangers.first_end(), at(1920));
        assert_eq!(strangers.observe(&[stranger(2)], at(1919)), []);
        assert_eq!(strangers.observe(&[stranger(2)], at(1920)), [LeaseId(7)]);
    }

    #[test]
    fn one_that_is_gone_is_forgotten() {
        let mut strangers = ForeignLeases::default();
        assert_eq!(strangers.observe(&[stranger(1)], at(0)), []);
        assert_eq!(strangers.observe(&[], at(1)), []);
        assert_eq!(strangers.first_end(), BootTime::NEVER);
    }
}
