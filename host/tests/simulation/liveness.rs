//! Whether somebody leads who could, and whether hosts say it where nobody does.
//!
//! Looked at all along, not only when the faults are over: a group may be without a leader as
//! long as a lost session and a lost wake-up may last, if a host is there all that time that
//! could lead; and whoever has been in touch with the store for a while says so, or does
//! not claim to know.

use std::collections::BTreeMap;

use soloist::{
    config::Timings,
    election::{Group, LeaseId, Stage},
    term::{HostView, Why},
};

use crate::{
    happening::Happening,
    host::Host,
    mutant::Mutant,
    promise::Promise,
    world::{FAULTS, MS, SECOND, World},
};

/// From one look to the next.
const LOOK: u64 = 500 * MS;
/// Beside leases and lost wake-ups: the store's sweep, calls that are tried again, a drain.
const DELAYS: u64 = 5 * SECOND;
/// How long news take to a host that is in touch: the longest pause between two shows.
const NEWS: u64 = 4 * SECOND;

/// The longest that it takes to look again where a wake-up was lost.
pub(crate) fn second_look(timings: &Timings) -> u64 {
    20 * timings.request_timeout.as_nanos() as u64
}

/// Since when things are as they should be.
#[derive(Default)]
pub(crate) struct Liveness {
    looked_at: u64,
    /// The store, and the way to it as far as it is the same for all.
    store: u64,
    hosts: BTreeMap<usize, Touch>,
    /// What each host needs to lead a group.
    able: BTreeMap<(usize, Group), u64>,
    /// No stranger heads the queue.
    open: BTreeMap<Group, u64>,
    /// When somebody led.
    led: BTreeMap<Group, u64>,
}

/// Since when a host is awake and reaches the store.
#[derive(Clone, Copy, Default)]
struct Touch {
    life: u32,
    since: u64,
    /// Since when it hears of changes as well.
    hears: u64,
}

impl Liveness {
    /// A term begins, which may be over before the next look.
    pub(crate) fn began(&mut self, group: &Group, now: u64) {
        self.led.insert(group.clone(), now);
    }
}

impl World {
    /// Looks at every group and host, and again after a while.
    pub(crate) fn look_around(&mut self) {
        self.look_at_store();
        for host in 0..self.hosts.len() {
            self.look_at_host(host);
        }
        for group in self.groups.clone() {
            self.look_at_group(&group);
        }
        self.liveness.looked_at = self.now;
        self.after(LOOK, Happening::Look);
    }

    fn look_at_store(&mut self) {
        let slow = self.faulty() && (self.loss > 10 || self.latency > 20);
        let before = self.liveness.looked_at;
        // Whoever cannot give a key back blocks its group for as long.
        let refuses = self.hosts.iter().any(|host| host.refused_until > before);
        if slow || refuses || self.stuck_until.max(self.leaderless_until) > before {
            self.liveness.store = self.now;
        }
    }

    fn look_at_host(&mut self, number: usize) {
        let (now, before) = (self.now, self.liveness.looked_at);
        let host = &self.hosts[number];
        let touch = self.liveness.hosts.entry(number).or_default();
        // No way is cut any more when the faults are over.
        let cut = host.out.until.max(host.back.until).min(FAULTS) > before;
        let asleep = host.is_frozen(now) || host.last_woke > before;
        if cut || asleep || host.heart.is_none() || host.stopping || host.life != touch.life {
            touch.since = now;
        }
        if touch.since == now || host.sight.deaf_until > before {
            touch.hears = now;
        }
        touch.life = host.life;
        for group in &self.groups {
            if !host.is_able(group, now) {
                self.liveness.able.insert((number, group.clone()), now);
            }
        }
    }

    fn look_at_group(&mut self, group: &Group) {
        let now = self.now;
        if self.store.leader(group).is_some_and(|key| key.lease == LeaseId::NONE) {
            self.liveness.open.insert(group.clone(), now);
        }
        let leads = |host: &Host| {
            let term = host.terms.get(group).filter(|term| !term.robbed && !host.is_frozen(now));
            term.is_some_and(|term| self.store.exists(&term.key))
        };
        if self.hosts.iter().any(leads) {
            self.liveness.led.insert(group.clone(), now);
        }
        let led = self.liveness.led.get(group).copied().unwrap_or_default();
        self.somebody_leads(group, led);
        if !self.goes_back {
            // There a leader that finds another one before it is not told of it.
            self.hosts_say_it(group, led);
        }
    }

    fn somebody_leads(&mut self, group: &Group, led: u64) {
        let (now, ttl) = (self.now, self.timings.ttl.as_nanos() as u64);
        let patience = ttl + second_look(&self.timings) + DELAYS;
        let could = (0..self.hosts.len()).map(|host| self.could_lead_since(host, group)).min();
        let long = now - could.unwrap_or(now).max(led);
        self.checker.holds(long <= patience, Promise::SomebodyLeads, now, || {
            format!("nobody has led {group} for {} ms, and somebody could", long / MS)
        });
    }

    fn hosts_say_it(&mut self, group: &Group, led: u64) {
        let patience = 2 * self.timings.ttl.as_nanos() as u64 + NEWS;
        let know = (0..self.hosts.len()).filter(|host| self.should_know(*host, led, patience));
        let wrong = know.map(|host| &self.hosts[host]).find(|host| self.says_well(host, group));
        let wrong = wrong.map(|host| host.name);
        self.checker.holds(wrong.is_none(), Promise::HostsSayIt, self.now, || {
            format!("{wrong:?} says that all is well with {group}, which nobody leads")
        });
    }

    /// Since when a host could have led, had others let it.
    fn could_lead_since(&self, host: usize, group: &Group) -> u64 {
        let Liveness { store, hosts, able, open, .. } = &self.liveness;
        let able = able.get(&(host, group.clone())).copied().unwrap_or_default();
        let open = open.get(group).copied().unwrap_or_default();
        hosts.get(&host).map_or(self.now, |touch| touch.since.max(*store).max(able).max(open))
    }

    /// Whether a host must by now have heard that nobody has led since `led`, or must know
    /// that it hears nothing.
    fn should_know(&self, host: usize, led: u64, patience: u64) -> bool {
        let Liveness { store, hosts, .. } = &self.liveness;
        let (Some(touch), now) = (hosts.get(&host), self.now) else { return false };
        let host = &self.hosts[host];
        let heard = now - touch.hears.max(*store) > patience;
        let cut = host.out.lasts(now).max(host.back.lasts(now));
        let lost = self.faulty() && cut > patience && now > host.last_woke + NEWS;
        host.heart.is_some() && !host.is_frozen(now) && now - led > patience && (heard || lost)
    }

    /// Whether a host's status shows nothing amiss in `group`.
    fn says_well(&self, host: &Host, group: &Group) -> bool {
        let (Some(heart), Some(roster)) = (&host.heart, &host.sight.roster) else { return false };
        let view = HostView::of(heart, None, None);
        match self.mutant {
            Mutant::Rosy => view.session.is_some() && !roster.queue(group).is_empty(),
            _ => Why::of(group, roster, &view).is_none(),
        }
    }
}

impl Host {
    /// Whether nothing here keeps it from leading `group`.
    fn is_able(&self, group: &Group, now: u64) -> bool {
        let Some(heart) = &self.heart else { return false };
        let candidacy = &heart.candidacies()[group];
        let clock = self.clock(now);
        let waits =
            |stage: &Stage| matches!(stage, Stage::Idle { not_before } if *not_before > clock);
        let free = candidacy.obstacle().is_none() && candidacy.bar().is_none();
        free && heart.obstacle().or(heart.held()).is_none() && !waits(candidacy.stage())
    }
}
