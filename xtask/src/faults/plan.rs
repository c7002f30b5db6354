//! Which faults, in which order, for how long: all from a seed.
//!
//! The seed fixes the plan, not what happens: processes and packets have their
//! own mind. A history is what tells of a failure; a seed helps to see it again.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    HandOver,
    Crash,
    MachineCrash,
    Freeze,
    PartitionStore,
    PartitionAll,
    OneWayOut,
    OneWayIn,
    MemberIsolated,
    EtcdLeaderIsolated,
    MemberKilled,
    EtcdLeaderStopped,
    EtcdDown,
    Delay,
    Loss,
    DiskStall,
}

/// What a fault may cost at most, 99 times of 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// The supervisor tells the store at once.
    Supervised,
    /// The lease has to run out.
    Lease,
    /// It is only reported.
    None,
}

impl Bound {
    /// The longest take-over that is allowed.
    pub(super) fn limit(self, ttl: Duration) -> Option<Duration> {
        match self {
            Self::Supervised => Some(Duration::from_millis(100)),
            Self::Lease => Some(ttl + Duration::from_millis(1500)),
            Self::None => None,
        }
    }
}

/// When a fault is healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// As soon as another leader answers.
    NewTerm,
    /// After its time.
    Held,
}

impl Kind {
    pub(super) const ALL: [Self; 16] = [
        Self::HandOver,
        Self::Crash,
        Self::MachineCrash,
        Self::Freeze,
        Self::PartitionStore,
        Self::PartitionAll,
        Self::OneWayOut,
        Self::OneWayIn,
        Self::MemberIsolated,
        Self::EtcdLeaderIsolated,
        Self::MemberKilled,
        Self::EtcdLeaderStopped,
        Self::EtcdDown,
        Self::Delay,
        Self::Loss,
        Self::DiskStall,
    ];

    /// Its name, as in `--only`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::HandOver => "hand-over",
            Self::Crash => "crash",
            Self::MachineCrash => "machine-crash",
            Self::Freeze => "freeze",
            Self::PartitionStore => "partition-store",
            Self::PartitionAll => "partition-all",
            Self::OneWayOut => "one-way-out",
            Self::OneWayIn => "one-way-in",
            Self::MemberIsolated => "member-isolated",
            Self::EtcdLeaderIsolated => "etcd-leader-isolated",
            Self::MemberKilled => "member-killed",
            Self::EtcdLeaderStopped => "etcd-leader-stopped",
            Self::EtcdDown => "etcd-down",
            Self::Delay => "delay",
            Self::Loss => "loss",
            Self::DiskStall => "disk-stall",
        }
    }

    /// What happens, for the table.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::HandOver => "the leader is told to stop (SIGTERM)",
            Self::Crash => "kill -9 of the leader's process under its supervisor",
            Self::MachineCrash => "kill -9 of the leader's process and supervisor",
            Self::Freeze => "the leader is frozen for 1.2 to 3 TTL (SIGSTOP), and wakes up",
            Self::PartitionStore => "the leader is cut off from etcd",
            Self::PartitionAll => "the leader is cut off from everything",
            Self::OneWayOut => "nothing that the leader sends reaches etcd",
            Self::OneWayIn => "nothing that etcd sends reaches the leader",
            Self::MemberIsolated => "an etcd follower is cut off from the other members",
            Self::EtcdLeaderIsolated => "etcd's leader is cut off from the other members",
            Self::MemberKilled => "kill -9 of one etcd member, and restart",
            Self::EtcdLeaderStopped => "etcd's leader is frozen (SIGSTOP), and wakes up",
            Self::EtcdDown => "kill -9 of all etcd members, and restart",
            Self::Delay => "packets are late by 20 to 200 ms, with jitter",
            Self::Loss => "5 to 30 % of the packets are lost",
            Self::DiskStall => "etcd's disks do not write (fsfreeze)",
        }
    }

    /// What a take-over may cost.
    pub(super) fn bound(self) -> Bound {
        match self {
            Self::Crash => Bound::Supervised,
            Self::MachineCrash
            | Self::Freeze
            | Self::PartitionStore
            | Self::PartitionAll
            | Self::OneWayOut
            | Self::OneWayIn => Bound::Lease,
            _ => Bound::None,
        }
    }

    /// When it is healed.
    pub(super) fn until(self) -> Until {
        match self {
            Self::HandOver | Self::Crash | Self::MachineCrash => Until::NewTerm,
            _ => Until::Held,
        }
    }

    /// How long it is held, as the least and the most in tenths of the TTL.
    fn tenths(self) -> (u32, u32) {
        match self {
            Self::HandOver | Self::Crash | Self::MachineCrash => (0, 0),
            Self::Freeze => (12, 30),
            Self::PartitionStore | Self::PartitionAll | Self::OneWayOut | Self::OneWayIn => {
                (12, 25)
            }
            Self::MemberIsolated | Self::EtcdLeaderIsolated | Self::MemberKilled => (5, 20),
            Self::EtcdLeaderStopped | Self::EtcdDown => (5, 30),
            Self::Delay | Self::Loss => (10, 20),
            Self::DiskStall => (3, 20),
        }
    }

    /// How often it comes in a round: those that take no time, and those that
    /// have a bound, more often.
    fn share(self) -> usize {
        match self {
            Self::Crash => 4,
            Self::HandOver | Self::MachineCrash | Self::Freeze => 2,
            _ => 1,
        }
    }

    /// How strong it is, at least and at most: milliseconds, or percent.
    fn strength(self) -> (u16, u16) {
        match self {
            Self::Delay => (20, 200),
            Self::Loss => (5, 30),
            _ => (0, 0),
        }
    }
}

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
