//! Whether a group always gets a leader if some host could lead.
//!
//! This is checked all the time and in every simulation. A group may be without a leader for as
//! long as it takes to notice that and for a host to become the leader, provided that one host
//! could do so all that time. Unavoidable delays count as *setbacks*, each of which extends that
//! time by a fixed cost: a call without an answer, a lost notification, a lease that nobody holds
//! and that has to expire. So even in a storm of faults, a host with a bad connection is only given
//! the time that its failed calls cost.

use soloist_heart::{CandidacyStage, Group, LeaseId};

use crate::{
    promise::Promise,
    simulated_host::SimulatedHost,
    simulated_store::HostLife,
    simulation::{FAULTS, MS, SECOND, Simulation},
    simulation_event::SimulationEvent,
};

/// The interval between two checks.
const LOOK: u64 = 500 * MS;
/// The time allowed in addition to expiring leases and setbacks: for the store's sweep, a drain, a
/// stop and the publishing of a roster.
const DELAYS: u64 = 5 * SECOND;
/// How long news take to reach a connected host: the longest pause between two publications.
pub(crate) const NEWS: u64 = 4 * SECOND;

/// Since when everything has been as it should be.
#[derive(Default)]
pub(crate) struct Liveness {
    looked_at: u64,
    /// Since when the store has been serving.
    pub(crate) store: u64,
    pub(crate) hosts: Vec<HostLiveness>,
    pub(crate) groups: Vec<GroupLiveness>,
}

/// Since when a host has been awake and connected to the store.
#[derive(Clone, Copy, Default)]
pub(crate) struct HostLiveness {
    life: u32,
    pub(crate) since: u64,
    /// Since when it also receives changes.
    pub(crate) hears: u64,
    /// Since when it has a session.
    pub(crate) session: u64,
    /// For how many checks in a row it has stood although it knew that its clock was wrong.
    pub(crate) stands_wrongly: u32,
    /// How much later its next news arrive, because earlier ones were lost.
    pub(crate) late: u64,
    /// The cost of its failed calls since the last check.
    setbacks: u64,
}

/// The leadership of a group.
#[derive(Clone, Default)]
pub(crate) struct GroupLiveness {
    /// When somebody last led.
    pub(crate) led: u64,
    /// When the queue was last headed by a host that had announced that it leads.
    pub(crate) shown: u64,
    /// The cost of the group's setbacks since the last check.
    setbacks: u64,
    /// Until when a notification may take that is late, or is lost and made up for.
    asleep_until: u64,
    /// For each host, since when it could have led, moved forward by the cost of setbacks.
    could: Vec<u64>,
}

impl Simulation {
    /// The longest time until a campaign checks again if its notification was lost.
    pub(crate) fn longest_recheck(&self) -> u64 {
        20 * self.timings.request_timeout.as_nanos() as u64
    }

    /// A term begins; it may have ended before the next check.
    pub(crate) fn led(&mut self, group: &Group) {
        let now = self.now;
        if let Some(group_state) = self.group_state(group) {
            group_state.led = now;
        }
    }

    /// The notification to the first host of a group takes this long, or until it checks again.
    pub(crate) fn notification_takes(&mut self, group: &Group, long: u64) {
        let until = self.now + long.min(self.longest_recheck());
        if let Some(group_state) = self.group_state(group) {
            group_state.asleep_until = group_state.asleep_until.max(until);
        }
    }

    /// A call of a host failed: it is given up, and repeated after a pause. If the host heads a
    /// queue, others wait for it.
    pub(crate) fn call_failed(&mut self, host: usize, group: Option<&Group>) {
        let cost = (self.timings.request_timeout + self.timings.retry).as_nanos() as u64;
        if let Some(group) = group {
            return self
                .group_state(group)
                .into_iter()
                .for_each(|group_state| group_state.setbacks += cost);
        }
        if let Some(host_state) = self.liveness.hosts.get_mut(host) {
            host_state.setbacks += cost;
        }
        for (number, group_state) in self.liveness.groups.iter_mut().enumerate() {
            let first = self.store.leader(&self.groups[number]);
            if first.is_some_and(|key| self.store.owner(key.lease) == Some(host)) {
                group_state.setbacks += cost;
            }
        }
    }

    /// A publication did not reach a host; the next one may.
    pub(crate) fn publication_lost(&mut self, host: usize) {
        let (pause, cost) = (self.shows_within, self.shows_within + self.latency * MS);
        if let Some(host_state) = self.liveness.hosts.get_mut(host) {
            host_state.late += cost;
            // It may have contained the news that a key is to be given up, or is gone.
            host_state.setbacks += pause;
        }
    }

    /// Records which leaders the store now shows.
    pub(crate) fn record_shown_leaders(&mut self) {
        for (number, group_state) in self.liveness.groups.iter_mut().enumerate() {
            let first = self.store.leader(&self.groups[number]);
            if first.is_some_and(|key| self.store.is_proclaimed(key)) {
                group_state.shown = self.now;
            }
        }
    }

    /// A host has received news.
    pub(crate) fn news_arrived(&mut self, who: HostLife) {
        if let Some(host_state) = self.liveness.hosts.get_mut(who.host) {
            host_state.late = 0;
        }
    }

    fn group_state(&mut self, group: &Group) -> Option<&mut GroupLiveness> {
        let place = self.groups.binary_search(group).ok()?;
        self.liveness.groups.get_mut(place)
    }

    /// Starts the checks.
    pub(crate) fn start_checks(&mut self) {
        let hosts = self.hosts.len();
        let group_state = GroupLiveness { could: vec![0; hosts], ..GroupLiveness::default() };
        self.liveness.hosts = vec![HostLiveness::default(); hosts];
        self.liveness.groups = vec![group_state; self.groups.len()];
        self.after(LOOK, SimulationEvent::CheckLiveness);
    }

    /// Checks every group and host, and schedules the next check.
    pub(crate) fn run_checks(&mut self) {
        if self.stuck_until.max(self.leaderless_until) > self.liveness.looked_at {
            self.liveness.store = self.now;
        }
        for host in 0..self.hosts.len() {
            self.check_host(host);
        }
        for group in 0..self.groups.len() {
            self.check_group(group);
        }
        self.liveness.hosts.iter_mut().for_each(|host_state| host_state.setbacks = 0);
        self.check_job();
        self.liveness.looked_at = self.now;
        self.after(LOOK, SimulationEvent::CheckLiveness);
    }

    fn check_host(&mut self, number: usize) {
        let (now, before) = (self.now, self.liveness.looked_at);
        let (host, host_state) = (&self.hosts[number], &mut self.liveness.hosts[number]);
        // When the faults are over, no connection is cut any more.
        let cut = host.out.until.max(host.back.until).min(FAULTS) > before;
        let asleep = host.is_frozen(now) || host.last_woke > before;
        if cut || asleep || host.heart.is_none() || host.stopping || host.life != host_state.life {
            host_state.since = now;
        }
        // A host without a session receives nothing, and says that it does not know.
        if host.heart.as_ref().is_none_or(|heart| heart.session().live().is_none()) {
            host_state.session = now;
        }
        let deaf = host.sight.may_be_deaf_until > before;
        if host_state.since == now || host_state.session == now || deaf {
            host_state.hears = now;
        }
        host_state.life = host.life;
    }

    fn check_group(&mut self, number: usize) {
        let (now, before) = (self.now, self.liveness.looked_at);
        let group = &self.groups[number];
        let first = self.store.leader(group);
        let owner = first.and_then(|key| self.store.owner(key.lease)).map(|host| &self.hosts[host]);
        let group_state = &mut self.liveness.groups[number];
        let leads = |host: &SimulatedHost| {
            let term = host.terms.get(group).filter(|_| !host.is_frozen(now));
            term.is_some_and(|term| Some(&term.key) == first)
        };
        if owner.is_some_and(leads) {
            (group_state.led, group_state.asleep_until) = (now, 0);
        }
        if first.is_some_and(|key| self.store.is_proclaimed(key)) {
            group_state.shown = now;
        }
        // Nobody can lead during a grace period, behind a foreign key, or behind a host that cannot give up its key or
        // does not learn that it has one.
        let stranger = first.is_some_and(|key| key.lease == LeaseId::NONE);
        let stuck =
            |host: &SimulatedHost| host.refused_until.max(host.sight.may_be_deaf_until) > before;
        let closed = stranger || self.store.is_in_grace() || owner.is_some_and(stuck);
        if self.liveness.store == now {
            group_state.setbacks += now - before;
        }
        let held = |key: &_| owner.is_some_and(|host| host.holds(key));
        if first.is_some_and(|key| !held(&key.lease)) {
            group_state.setbacks += now - before;
        }
        for (number, could) in group_state.could.iter_mut().enumerate() {
            let (host, host_state) = (&self.hosts[number], self.liveness.hosts[number]);
            let since = (*could).max(host_state.since).max(group_state.asleep_until);
            let able = group_state.led < now && !closed && host.is_able(group, now);
            let net = since.max(group_state.led) + group_state.setbacks + host_state.setbacks;
            *could = if able { net } else { now };
        }
        group_state.setbacks = 0;
        self.check_somebody_leads(number);
        self.check_statuses(number);
    }

    fn check_somebody_leads(&mut self, number: usize) {
        let ttl = self.timings.ttl.as_nanos() as u64;
        let could = self.liveness.groups[number].could.iter().min();
        let long = self.now.saturating_sub(could.copied().unwrap_or(self.now));
        let (now, group) = (self.now, &self.groups[number]);
        self.checker.holds(long <= ttl + DELAYS, Promise::SomebodyLeads, now, || {
            format!("nobody leads {group}, for {} ms more than can be helped", long / MS)
        });
    }
}

impl SimulatedHost {
    /// Whether its process relies on this lease.
    fn holds(&self, lease: &LeaseId) -> bool {
        let live = self.heart.as_ref().and_then(|heart| heart.session().live());
        live.is_some_and(|(live, _)| live == *lease)
    }

    /// Whether nothing on this host prevents it from leading `group`.
    fn is_able(&self, group: &Group, now: u64) -> bool {
        let Some(heart) = &self.heart else { return false };
        let candidacy = &heart.candidacies()[group];
        let clock = self.clock(now);
        let waits = |stage: &CandidacyStage| matches!(stage, CandidacyStage::Idle { not_before } if *not_before > clock);
        let free = candidacy.obstacle().is_none() && candidacy.bar().is_none();
        free && heart.obstacle().or(heart.setback()).is_none() && !waits(candidacy.stage())
    }
}
