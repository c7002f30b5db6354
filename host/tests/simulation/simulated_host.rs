//! A simulated host: the real heart, a drifting clock, and terms that take time.

use std::{collections::BTreeMap, sync::Arc};

use soloist::term::ReadinessCheck;
use soloist_config::GroupConfig;
use soloist_heart::{Group, Heart, LeaderKey, LeaseId, Timings, Token, clock::BootTime};
use soloist_leadership::Adviser;
use soloist_stores::{Member, Roster};

use crate::{
    clocks::{ClockKnowledge, WallClock},
    effects::RegisterWriter,
    jobs::JobKeeper,
    network::NetworkCut,
};

/// How far the gate of a term is turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GatePhase {
    Open,
    Draining,
    Closed,
}

/// What runs under a term here.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedTerm {
    pub(crate) key: LeaderKey,
    /// On the host's clock: the gate is shut from then on.
    pub(crate) deadline: BootTime,
    pub(crate) phase: GatePhase,
    /// Somebody took the key away behind the host's back: only fencing helps here.
    pub(crate) robbed: bool,
    pub(crate) writer: RegisterWriter,
    /// What keeps its job, if it has one.
    pub(crate) keeper: JobKeeper,
}

impl SimulatedTerm {
    /// Asks the gate to go on with what was admitted.
    pub(crate) fn passes(&self, clock: BootTime) -> bool {
        self.phase < GatePhase::Closed && clock < self.deadline
    }

    /// Asks the gate to begin something new.
    pub(crate) fn admits(&self, clock: BootTime) -> bool {
        self.phase == GatePhase::Open && clock < self.deadline
    }
}

/// What a process has seen of the store.
#[derive(Default)]
pub(crate) struct HostSight {
    pub(crate) roster: Option<Arc<Roster>>,
    /// Its number: an earlier one that comes later is of no use.
    pub(crate) number: u64,
    /// When it was taken.
    pub(crate) taken_at: u64,
    /// When the strategist looks next.
    pub(crate) looks_at: Option<u64>,
    /// Until when it hears of no change, though nothing seems to be wrong.
    pub(crate) deaf_until: u64,
    /// The same, in a world in which everybody looks again.
    pub(crate) may_be_deaf_until: u64,
}

impl HostSight {
    pub(crate) fn is_deaf(&self, now: u64) -> bool {
        now < self.deaf_until
    }
}

pub(crate) struct SimulatedHost {
    pub(crate) name: &'static str,
    /// Counts the processes that this host has had, and their deaths.
    pub(crate) life: u32,
    /// `None` while crashed.
    pub(crate) heart: Option<Heart>,
    /// The pure part of its strategist; `None` while crashed.
    pub(crate) adviser: Option<Adviser>,
    pub(crate) sight: HostSight,
    /// What it says of itself.
    pub(crate) member: Arc<Member>,
    /// What it has found out of the group that goes by time.
    pub(crate) findings: ReadinessCheck,
    /// Until when it could not lead that.
    pub(crate) obstructed_until: u64,
    pub(crate) time: WallClock,
    pub(crate) frozen_until: u64,
    pub(crate) last_woke: u64,
    /// The way to the store, and the way back.
    pub(crate) out: NetworkCut,
    pub(crate) back: NetworkCut,
    /// The store takes nothing back from this host until then; it renews its lease.
    pub(crate) refused_until: u64,
    /// Whether this life was told to stop.
    pub(crate) stopping: bool,
    /// When its last request arrives.
    pub(crate) last_arrival: u64,
    /// The moment of the timer that is set.
    pub(crate) armed: Option<u64>,
    pub(crate) terms: BTreeMap<Group, SimulatedTerm>,
    /// What the process told its supervisor: the lease that it was granted last.
    pub(crate) lease: Option<LeaseId>,
    /// How far this life has seen the store's history.
    pub(crate) revision: i64,
    /// How far it had seen it when the store went back behind that.
    pub(crate) floor: Option<i64>,
    /// The keys that it had looked at by then: an answer may be under way.
    pub(crate) under_way: BTreeMap<Group, LeaderKey>,
    /// The highest token that this life led under.
    pub(crate) highest: BTreeMap<Group, Token>,
    /// The keys that a look was asked for, and that were there at that moment.
    pub(crate) seen: BTreeMap<Group, LeaderKey>,
    offset: u64,
    /// How many nanoseconds its clock counts in a true million.
    rate: u64,
}

const MILLION: u64 = 1_000_000;

impl SimulatedHost {
    /// `drift`: how many parts in a million its clock is fast, or slow if negative.
    pub(crate) fn new(name: &'static str, offset: u64, drift: i64) -> Self {
        Self {
            name,
            life: 0,
            heart: None,
            adviser: None,
            sight: HostSight::default(),
            member: Arc::new(member(name)),
            findings: ReadinessCheck::default(),
            obstructed_until: 0,
            time: WallClock::default(),
            frozen_until: 0,
            last_woke: 0,
            out: NetworkCut::default(),
            back: NetworkCut::default(),
            refused_until: 0,
            stopping: false,
            last_arrival: 0,
            armed: None,
            terms: BTreeMap::new(),
            lease: None,
            revision: 0,
            floor: None,
            under_way: BTreeMap::new(),
            highest: BTreeMap::new(),
            seen: BTreeMap::new(),
            offset,
            rate: MILLION.checked_add_signed(drift).expect("a small drift"),
        }
    }

    pub(crate) fn boot(&mut self, timings: Timings, groups: &BTreeMap<Group, GroupConfig>) {
        self.life += 1;
        self.heart = Some(Heart::new(self.name.into(), timings, groups.keys().cloned()));
        self.adviser = Some(Adviser::new(self.name.into(), groups.clone()));
    }

    /// The process is gone, and with it all that it held.
    pub(crate) fn die(&mut self) {
        self.life += 1;
        (self.heart, self.adviser) = (None, None);
        self.sight = HostSight::default();
        self.findings = ReadinessCheck::default();
        self.obstructed_until = 0;
        self.time.known = ClockKnowledge::default();
        self.frozen_until = 0;
        self.armed = None;
        self.stopping = false;
        self.terms.clear();
        self.lease = None;
        self.revision = 0;
        self.floor = None;
        self.under_way.clear();
        self.highest.clear();
        self.seen.clear();
    }

    /// The host's clock at a true time.
    pub(crate) fn clock(&self, now: u64) -> BootTime {
        BootTime::from_nanos(self.offset + now / MILLION * self.rate + now % MILLION)
    }

    /// The true time at which the host's clock has reached `at`.
    pub(crate) fn true_time(&self, at: BootTime) -> u64 {
        let local = at.as_nanos().saturating_sub(self.offset);
        (local / self.rate + 1).saturating_mul(MILLION)
    }

    /// The process stands still for `long`, as under SIGSTOP, or longer.
    /// A clock that `sleeps` stands still with it.
    pub(crate) fn freeze(&mut self, now: u64, long: u64, sleeps: bool) {
        let until = self.frozen_until.max(now + long);
        if sleeps {
            self.offset -= until - self.frozen_until.max(now);
        }
        self.frozen_until = until;
        self.last_woke = until;
    }

    /// The term of `key`, if something of it is alive here.
    pub(crate) fn term(&self, key: &LeaderKey) -> Option<&SimulatedTerm> {
        self.terms.get(&key.group).filter(|term| term.key == *key)
    }

    pub(crate) fn is_frozen(&self, now: u64) -> bool {
        now < self.frozen_until
    }

    /// Whether a term of `group` can still have an effect at `now`.
    pub(crate) fn can_act(&self, group: &Group, now: u64) -> bool {
        self.terms.get(group).is_some_and(|term| !term.robbed && term.passes(self.clock(now)))
    }

    /// Whether something of a term of `group` is alive though the host had all
    /// the time it needs to end it: it was awake since before the deadline.
    pub(crate) fn is_overdue(&self, group: &Group, now: u64) -> bool {
        self.terms.get(group).is_some_and(|term| {
            !term.robbed && !self.is_frozen(now) && self.last_woke < self.true_time(term.deadline)
        })
    }
}

/// Hosts differ by their priority alone.
fn member(name: &str) -> Member {
    Member { priority: name.bytes().map(i64::from).sum(), ..Member::named(name) }
}
