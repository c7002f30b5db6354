//! The plan: which faults, in which order, and for how long. It follows from a seed.
//!
//! The seed decides the plan, but not the timing of processes and packets. So a failure is analysed
//! from its histories; the seed helps to provoke it again.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

use super::kind::Kind;

/// A fault that is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// How long the cluster is left alone before it.
    pub(super) pause: Duration,
    /// How long it is held, for kinds that are held.
    pub(super) hold: Duration,
    /// Milliseconds of delay, or percent of loss.
    pub(super) strength: u16,
    /// Whether it hits more than it must: also the supervisor, the hosts' links, every link, or
    /// every disk.
    pub(super) wide: bool,
    /// Selects one of several targets.
    pub(super) choice: usize,
}

/// An endless sequence of faults, in rounds: in each round, every kind occurs as often as its
/// share.
pub(super) struct Plan {
    rng: Rng,
    kinds: Vec<Kind>,
    next: VecDeque<Kind>,
    ttl: Duration,
}

impl Plan {
    /// The plan for a seed.
    pub(super) fn new(seed: u64, kinds: &[Kind], ttl: Duration) -> Self {
        let rng = Rng::with_seed(seed);
        Self { rng, kinds: kinds.to_vec(), next: VecDeque::new(), ttl }
    }

    /// The next fault; none if there are no kinds to choose from.
    pub(super) fn next(&mut self) -> Option<Fault> {
        if self.next.is_empty() {
            let times = |kind: &Kind| vec![*kind; kind.share()];
            let mut kinds: Vec<_> = self.kinds.iter().flat_map(times).collect();
            self.rng.shuffle(&mut kinds);
            self.next = kinds.into();
        }
        let kind = self.next.pop_front()?;
        let ((least, most), (weak, strong)) = (kind.tenths(), kind.strength());
        let hundredths = self.rng.u32(least * 10..=most * 10);
        Some(Fault {
            kind,
            // A candidate that has just joined may hear of its predecessor's end up to 100 ms late:
            // etcd updates new watchers ten times a second. The rest of the range puts the fault at
            // any moment between two renewals.
            pause: Duration::from_millis(self.rng.u64(300..800)),
            hold: self.ttl * hundredths / 100,
            strength: self.rng.u16(weak..=strong),
            wide: self.rng.bool(),
            choice: self.rng.usize(..60),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(2);

    fn some(seed: u64, count: usize) -> Vec<Fault> {
        let mut plan = Plan::new(seed, &Kind::ALL, TTL);
        (0..count).filter_map(|_| plan.next()).collect()
    }

    #[test]
    fn a_seed_is_a_plan() {
        assert_eq!(some(7, 50), some(7, 50));
        assert_ne!(some(7, 50), some(8, 50));
    }

    #[test]
    fn every_kind_comes_in_every_round() {
        let round = Kind::ALL.iter().map(|kind| kind.share()).sum();
        for faults in some(3, 4 * round).chunks(round) {
            for kind in Kind::ALL {
                let count = faults.iter().filter(|fault| fault.kind == kind).count();
                assert_eq!(count, kind.share(), "{kind:?}");
            }
        }
    }

    #[test]
    fn a_freeze_outlives_the_lease() {
        let freezes = some(1, 640).into_iter().filter(|fault| fault.kind == Kind::Freeze);
        for freeze in freezes {
            assert!(freeze.hold >= TTL * 6 / 5 && freeze.hold <= TTL * 3, "{freeze:?}");
        }
    }
}
