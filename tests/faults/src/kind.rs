//! The kinds of faults: what happens, how often, for how long, and what it may cost.

use std::time::Duration;

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
    LoginExpiry,
    ForeignMember,
    Restore,
    NoSpace,
    DeletedPrefix,
    Stranger,
    HungFile,
    FullDisk,
    ServerRestarted,
    ServerFrozen,
    ServerKilled,
    LockedTable,
}

/// The store of the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum StoreKind {
    Etcd,
    Postgres,
}

impl StoreKind {
    /// The name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Postgres => "postgres",
        }
    }
}

/// How long requests in flight may take in a hand-over; a setting of the hosts.
pub(super) const DRAIN: Duration = Duration::from_secs(1);

/// The bound of a take-over's duration, which 99 % must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// The supervisor revokes the lease at once.
    Supervised,
    /// The store notifies the next host at once. A host that is not notified looks again only after
    /// several TTLs, and would break the bound.
    Notified,
    /// Requests in flight may finish first, and then the stop has its own budget.
    Drained,
    /// The lease must expire first.
    Lease,
    /// No bound: the duration is only reported.
    None,
}

impl Bound {
    pub(super) const ALL: [Self; 5] =
        [Self::Supervised, Self::Notified, Self::Drained, Self::Lease, Self::None];

    /// The longest take-over that this bound allows.
    pub(super) fn limit(self, ttl: Duration) -> Option<Duration> {
        match self {
            Self::Supervised => Some(Duration::from_millis(100)),
            Self::Notified => Some(ttl / 2),
            Self::Drained => Some(DRAIN + Duration::from_secs(1)),
            Self::Lease => Some(ttl + Duration::from_millis(1500)),
            Self::None => None,
        }
    }
}

impl Kind {
    pub(super) const ALL: [Self; 28] = [
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
        Self::LoginExpiry,
        Self::ForeignMember,
        Self::Restore,
        Self::NoSpace,
        Self::DeletedPrefix,
        Self::Stranger,
        Self::HungFile,
        Self::FullDisk,
        Self::ServerRestarted,
        Self::ServerFrozen,
        Self::ServerKilled,
        Self::LockedTable,
    ];

    /// All kinds that this store can have.
    pub(super) fn of(store: StoreKind) -> Vec<Self> {
        let is_of_etcd = |kind: &Self| {
            !matches!(
                kind,
                Self::ServerRestarted | Self::ServerFrozen | Self::ServerKilled | Self::LockedTable
            )
        };
        let is_of_postgres = |kind: &Self| {
            !matches!(
                kind,
                Self::MemberIsolated
                    | Self::EtcdLeaderIsolated
                    | Self::MemberKilled
                    | Self::EtcdLeaderStopped
                    | Self::EtcdDown
                    | Self::LoginExpiry
                    | Self::ForeignMember
                    | Self::NoSpace
                    | Self::Stranger
            )
        };
        let all = Self::ALL.into_iter();
        match store {
            StoreKind::Etcd => all.filter(is_of_etcd).collect(),
            StoreKind::Postgres => all.filter(is_of_postgres).collect(),
        }
    }

    /// The name for `--only` and the report.
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
            Self::LoginExpiry => "login-expiry",
            Self::ForeignMember => "foreign-member",
            Self::Restore => "restore",
            Self::NoSpace => "no-space",
            Self::DeletedPrefix => "deleted-prefix",
            Self::Stranger => "stranger",
            Self::HungFile => "hung-file",
            Self::FullDisk => "full-disk",
            Self::ServerRestarted => "server-restarted",
            Self::ServerFrozen => "server-frozen",
            Self::ServerKilled => "server-killed",
            Self::LockedTable => "locked-table",
        }
    }

    /// What happens, for the report's table.
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::HandOver => "the leader is asked to stop (SIGTERM)",
            Self::Crash => "kill -9 of the leader's process under its supervisor",
            Self::MachineCrash => "kill -9 of the leader's process and supervisor",
            Self::Freeze => "the leader is frozen for 1.2 to 3 TTL (SIGSTOP), and wakes up",
            Self::PartitionStore => "the leader is cut off from the store",
            Self::PartitionAll => "the leader is cut off from everything",
            Self::OneWayOut => "nothing that the leader sends reaches the store",
            Self::OneWayIn => "nothing that the store sends reaches the leader",
            Self::MemberIsolated => "an etcd follower is cut off from the other members",
            Self::EtcdLeaderIsolated => "etcd's leader is cut off from the other members",
            Self::MemberKilled => "kill -9 of one etcd member, and restart",
            Self::EtcdLeaderStopped => "etcd's leader is frozen (SIGSTOP), and wakes up",
            Self::EtcdDown => "kill -9 of all etcd members, and restart",
            Self::Delay => "packets are late by 20 to 200 ms, with jitter",
            Self::Loss => "5 to 30 % of the packets are lost",
            Self::DiskStall => "the store's disks do not write (fsfreeze)",
            Self::LoginExpiry => {
                "logins expire, the second in the queue is killed, and then the leader is asked to \
                 stop"
            }
            Self::ForeignMember => {
                "an etcd member loses its data and is started alone, while a host starts"
            }
            Self::Restore => "the store is restored from a snapshot; then all hosts are restarted",
            Self::NoSpace => "etcd is filled up to its quota (the alarm NOSPACE)",
            Self::DeletedPrefix => "all that the cluster keeps is deleted",
            Self::Stranger => "a key that no host has written is in the queue, or heads it",
            Self::HungFile => {
                "files hang under 60 requests to the leader, which is then asked to stop"
            }
            Self::FullDisk => "the store's disks are full",
            Self::ServerRestarted => "PostgreSQL is restarted (a fast shutdown)",
            Self::ServerFrozen => "PostgreSQL is frozen (SIGSTOP), and wakes up",
            Self::ServerKilled => "kill -9 of PostgreSQL, and restart",
            Self::LockedTable => "somebody locks soloist's leases",
        }
    }

    /// The bound of a take-over.
    pub(super) fn bound(self) -> Bound {
        match self {
            Self::Crash => Bound::Supervised,
            Self::LoginExpiry | Self::DeletedPrefix | Self::Stranger => Bound::Notified,
            Self::HungFile => Bound::Drained,
            Self::MachineCrash
            | Self::Freeze
            | Self::PartitionStore
            | Self::PartitionAll
            | Self::OneWayOut
            | Self::OneWayIn => Bound::Lease,
            _ => Bound::None,
        }
    }

    /// How long the fault is held: the minimum and the maximum, in tenths of the TTL. 0 if it ends
    /// by itself, or when its consequence is seen.
    pub(super) fn tenths(self) -> (u32, u32) {
        match self {
            Self::HandOver
            | Self::Crash
            | Self::MachineCrash
            | Self::LoginExpiry
            | Self::Restore
            | Self::DeletedPrefix
            | Self::ServerRestarted => (0, 0),
            Self::Freeze => (12, 30),
            Self::PartitionStore | Self::PartitionAll | Self::OneWayOut | Self::OneWayIn => {
                (12, 25)
            }
            Self::MemberIsolated | Self::EtcdLeaderIsolated | Self::MemberKilled => (5, 20),
            Self::EtcdLeaderStopped
            | Self::EtcdDown
            | Self::ServerFrozen
            | Self::ServerKilled
            | Self::LockedTable => (5, 30),
            Self::Delay | Self::Loss => (10, 20),
            Self::DiskStall => (3, 20),
            Self::ForeignMember | Self::FullDisk => (5, 15),
            Self::HungFile | Self::NoSpace | Self::Stranger => (2, 10),
        }
    }

    /// How often it occurs in a round. Kinds that take no time or have a bound are more frequent.
    pub(super) fn share(self) -> usize {
        match self {
            Self::Crash => 4,
            Self::HandOver | Self::MachineCrash | Self::Freeze => 2,
            _ => 1,
        }
    }

    /// The minimum and the maximum of its strength, in milliseconds or percent.
    pub(super) fn strength(self) -> (u16, u16) {
        match self {
            Self::Delay => (20, 200),
            Self::Loss => (5, 30),
            _ => (0, 0),
        }
    }
}
