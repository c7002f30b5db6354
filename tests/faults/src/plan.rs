//! Which faults, in which order, for how long: all from a seed.
//!
//! The seed fixes the plan, not what happens: processes and packets have their
//! own mind. A history is what tells of a failure; a seed helps to see it again.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

use super::kind::Kind;

/// A fault that is about to be injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// How long all is well before it.
    pub(super) pause: Duration,
    /// How long it is held, for kinds that are.
    pub(super) hold: Duration,
    /// Milliseconds of delay or percent of loss.
    pub(super) strength: u16,
    /// Whether it takes more than it must: the supervisor too, the hosts' side
    /// too, every link, every disk.
    pub(super) wide: bool,
    /// Which one of several is hit.
    pub(super) choice: usize,
}

/// An endless list of faults, in rounds: in each, every kind comes as often as
/// its share says.
pub(super) struct Plan {
    rng: Rng,
    kinds: Vec<Kind>,
    next: VecDeque<Kind>,
    ttl: Duration,
}

impl Plan {
    /// The plan that follows from a seed.
    pub(super) fn new(seed: u64, kinds: &[Kind], ttl: Duration) -> Self {
        let rng = Rng::with_seed(seed);
        Self { rng, kinds: kinds.to_vec(), next: VecDeque::new(), ttl }
    }

    /// The next fault, or none where no kind is left to choose.
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
            // A candidate that has just joined may learn of its predecessor's end
            // up to 100 ms late: etcd brings new watchers up to date ten times a
            // second. The rest puts the fault anywhere between two renewals.
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
