//! A simulated host: the real heart, a drifting clock, and terms that take time.

use std::{collections::BTreeMap, sync::Arc};

use soloist_config::GroupConfig;
use soloist_heart::{FencingToken, Group, Heart, LeaderKey, LeaseId, Timings, clock::BootTime};
use soloist_leadership::Adviser;
use soloist_leadership::ReadinessCheck;
use soloist_stores::{Member, Roster};

use crate::{
    clocks::{ClockKnowledge, SimulatedWallClock},
    effects::RegisterWriter,
    jobs::JobKeeper,
    network::NetworkCut,
    simulated_store::StoreData,
};

/// The phase of a term's gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum GatePhase {
    Open,
    Draining,
    Closed,
}

/// A term on a simulated host.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedTerm {
    pub(crate) key: LeaderKey,
    /// When the gate closes by itself, on the host's clock.
    pub(crate) deadline: BootTime,
    pub(crate) phase: GatePhase,
    /// Somebody deleted the key without the host's knowledge: only fencing can help here.
    pub(crate) robbed: bool,
    /// The fencing tokens were raised since: by the end of the grace period it must be over.
    pub(crate) outdated: bool,
    pub(crate) writer: RegisterWriter,
    /// The state of the term's job, if it has one.
    pub(crate) job_keeper: JobKeeper,
}

impl SimulatedTerm {
    /// Asks the gate to continue something that was admitted.
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
    /// The number of the roster, so that older ones that arrive later are ignored.
    pub(crate) number: u64,
    /// When the store published it.
    pub(crate) taken_at: u64,
    /// When the strategist looks next.
    pub(crate) looks_at: Option<u64>,
    /// Until when the host gets no news, although nothing seems to be wrong.
    pub(crate) deaf_until: u64,
    /// The same, if hosts check again as they should; mutants may not.
    pub(crate) may_be_deaf_until: u64,
}

impl HostSight {
    pub(crate) fn is_deaf(&self, now: u64) -> bool {
        now < self.deaf_until
    }
}

pub(crate) struct SimulatedHost {
    pub(crate) name: &'static str,
    /// Counts the starts and deaths of this host's processes.
    pub(crate) life: u32,
    /// `None` while the host is down.
    pub(crate) heart: Option<Heart>,
    /// The pure part of its strategist; `None` while the host is down.
    pub(crate) adviser: Option<Adviser>,
    pub(crate) sight: HostSight,
    /// The host's entry among the members.
    pub(crate) member: Arc<Member>,
    /// What it has found out about its readiness for the group with the job.
    pub(crate) findings: ReadinessCheck,
    /// Until when it could not lead that group.
    pub(crate) obstructed_until: u64,
    pub(crate) time: SimulatedWallClock,
    pub(crate) frozen_until: u64,
    pub(crate) last_woke: u64,
    /// The connection to the store, and the connection back.
    pub(crate) out: NetworkCut,
    pub(crate) back: NetworkCut,
    /// Until when the store refuses to let this host give anything up; renewals still work.
    pub(crate) refused_until: u64,
    /// Whether this process was told to stop.
    pub(crate) stopping: bool,
    /// When its last request arrives.
    pub(crate) last_arrival: u64,
    /// The moment for which the timer is set.
    pub(crate) armed: Option<u64>,
    pub(crate) terms: BTreeMap<Group, SimulatedTerm>,
    /// The lease that was granted last, which the process has reported to its supervisor.
    pub(crate) lease: Option<LeaseId>,
    /// The highest revision of the store that this process has seen.
    pub(crate) revision: i64,
    /// The store's floor, as this process knows it.
    pub(crate) known_floor: i64,
    /// How often it knows the fencing tokens to have been raised.
    pub(crate) known_raises: Option<u64>,
    /// Whether it has noticed that the store went back, so that the floor is to rise.
    pub(crate) expects_raise: bool,
    /// The highest fencing token that was possible by what it had seen before the store went back.
    pub(crate) must_exceed: Option<i64>,
    /// The keys that it was verifying by then: an answer may be under way.
    pub(crate) under_way: BTreeMap<Group, LeaderKey>,
    /// The highest fencing token under which this process has led, by group.
    pub(crate) highest: BTreeMap<Group, FencingToken>,
    /// The keys whose verification was requested, and that existed at that moment.
    pub(crate) seen: BTreeMap<Group, LeaderKey>,
    offset: u64,
    /// How many nanoseconds its clock counts in a million true ones.
    rate: u64,
}

const MILLION: u64 = 1_000_000;

impl SimulatedHost {
    /// `drift`: how fast its clock is, in parts per million; negative if it is slow.
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
            time: SimulatedWallClock::default(),
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
            known_floor: 0,
            known_raises: None,
            expects_raise: false,
            must_exceed: None,
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

    /// The process is gone, with everything it held.
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
        (self.known_floor, self.known_raises, self.expects_raise) = (0, None, false);
        self.must_exceed = None;
        self.under_way.clear();
        self.highest.clear();
        self.seen.clear();
    }

    /// The host's clock at a true time.
    pub(crate) fn clock(&self, now: u64) -> BootTime {
        BootTime::from_nanos(self.offset + now / MILLION * self.rate + now % MILLION)
    }

    /// The true time at which the host's clock reaches `at`.
    pub(crate) fn true_time(&self, at: BootTime) -> u64 {
        let local = at.as_nanos().saturating_sub(self.offset);
        (local / self.rate + 1).saturating_mul(MILLION)
    }

    /// Freezes the process for `long`, as SIGSTOP does, unless it is already frozen for longer. If
    /// `sleeps`, its clock stands still as well.
    pub(crate) fn freeze(&mut self, now: u64, long: u64, sleeps: bool) {
        let until = self.frozen_until.max(now + long);
        if sleeps {
            self.offset -= until - self.frozen_until.max(now);
        }
        self.frozen_until = until;
        self.last_woke = until;
    }

    /// The process learns how the store's fencing tokens are raised.
    pub(crate) fn learn_raises(&mut self, data: &StoreData) {
        (self.known_floor, self.known_raises) = (data.floor, Some(data.raises));
    }

    /// The highest fencing token that the store may have given out, by what this process has seen.
    pub(crate) fn highest_token(&self) -> i64 {
        self.known_floor + self.revision
    }

    /// The term of `key`, if part of it is alive here.
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

    /// Whether a term of `group` from before the fencing tokens were raised can still have an
    /// effect.
    pub(crate) fn acts_outdated(&self, group: &Group, now: u64) -> bool {
        self.terms.get(group).is_some_and(|term| term.outdated && term.passes(self.clock(now)))
    }

    /// Whether part of a term of `group` is alive although the host had enough time to end it,
    /// because it has been awake since before the deadline.
    pub(crate) fn is_overdue(&self, group: &Group, now: u64) -> bool {
        self.terms.get(group).is_some_and(|term| {
            !term.robbed && !self.is_frozen(now) && self.last_woke < self.true_time(term.deadline)
        })
    }
}

/// Hosts differ only in their priority.
fn member(name: &str) -> Member {
    Member { priority: name.bytes().map(i64::from).sum(), ..Member::named(name) }
}
