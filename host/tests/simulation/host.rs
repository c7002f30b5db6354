//! A simulated host: the real heart, a drifting clock, and terms that take time.

use std::collections::BTreeMap;

use soloist::{
    clock::BootTime,
    config::Timings,
    election::{Group, Heart, LeaderKey},
};

/// What runs under a term here, as far as the checker asks.
#[derive(Clone, Debug)]
pub(crate) struct Performance {
    pub(crate) key: LeaderKey,
    /// On the host's clock: the gate is shut from then on.
    pub(crate) deadline: BootTime,
    /// The gate was closed by a stop.
    pub(crate) closed: bool,
    /// Somebody deleted the key behind the host's back: only fencing helps here.
    pub(crate) robbed: bool,
}

pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) life: u32,
    /// `None` while crashed.
    pub(crate) heart: Option<Heart>,
    pub(crate) frozen_until: u64,
    pub(crate) cut_off_until: u64,
    pub(crate) last_woke: u64,
    pub(crate) terms: BTreeMap<Group, Performance>,
    offset: u64,
    /// How many nanoseconds its clock counts in a true million.
    rate: u64,
}

const MILLION: u64 = 1_000_000;

impl Host {
    /// `drift`: how many parts in a million its clock is fast, or slow if negative.
    pub(crate) fn new(name: String, offset: u64, drift: i64) -> Self {
        Self {
            name,
            life: 0,
            heart: None,
            frozen_until: 0,
            cut_off_until: 0,
            last_woke: 0,
            terms: BTreeMap::new(),
            offset,
            rate: MILLION.checked_add_signed(drift).expect("a small drift"),
        }
    }

    pub(crate) fn boot(&mut self, timings: Timings, groups: &[Group]) {
        self.life += 1;
        self.heart = Some(Heart::new(self.name.as_str().into(), timings, groups.to_vec()));
    }

    pub(crate) fn crash(&mut self) {
        self.heart = None;
        self.terms.clear();
        self.frozen_until = 0;
        self.life += 1;
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

    pub(crate) fn is_frozen(&self, now: u64) -> bool {
        now < self.frozen_until
    }

    /// Whether a term of `group` can still have an effect at `now`.
    pub(crate) fn can_act(&self, group: &Group, now: u64) -> bool {
        self.terms
            .get(group)
            .is_some_and(|p| !p.closed && !p.robbed && self.clock(now) < p.deadline)
    }

    /// Whether something of a term of `group` is alive though the host had all
    /// the time it needs to end it: it was awake since before the deadline.
    pub(crate) fn is_overdue(&self, group: &Group, now: u64) -> bool {
        self.terms.get(group).is_some_and(|p| {
            !p.robbed && !self.is_frozen(now) && self.last_woke < self.true_time(p.deadline)
        })
    }
}
