//! A simulation: hosts, a store, a network, faults, and the true time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;
use soloist_config::GroupConfig;
use soloist_heart::{Group, HeartEvent, LeaderKey, Strategy, Timings};
use soloist_stores::Roster;

use crate::{
    agenda::Agenda,
    checker::{CheckContext, Checker, KeyEnd},
    clocks::SimulatedWallClock,
    figures::Figures,
    jobs::SimulatedJob,
    liveness::Liveness,
    mutant::Mutant,
    promise::BrokenPromise,
    simulated_host::SimulatedHost,
    simulated_store::{HostLife, SimulatedStore, StoreData},
    simulation_event::SimulationEvent,
};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MS;
/// Faults are injected until then …
pub(crate) const FAULTS: u64 = 40 * SECOND;
/// … the last of them is over by then …
pub(crate) const CLEAR: u64 = FAULTS + 16 * SECOND;
/// … and by now somebody must lead, and groups must be spread: this leaves a TTL, its sweep, a
/// cooldown and some retries, and twice the longest settle time.
const END: u64 = CLEAR + 45 * SECOND;
/// From then on nobody hands over by preference, since that would not be finished by the end.
const REST: u64 = END - 12 * SECOND;

pub(crate) struct Simulation {
    pub(crate) now: u64,
    agenda: Agenda<SimulationEvent>,
    pub(crate) rng: Rng,
    pub(crate) mutant: Mutant,
    pub(crate) timings: Timings,
    pub(crate) groups: Vec<Group>,
    /// The settings of the groups, the same on all hosts.
    pub(crate) settings: BTreeMap<Group, GroupConfig>,
    pub(crate) hosts: Vec<SimulatedHost>,
    pub(crate) store: SimulatedStore,
    /// The job that one of the groups runs, if one does.
    pub(crate) job: Option<SimulatedJob>,
    /// The wall time at which the simulation began.
    pub(crate) epoch: DateTime<Utc>,
    /// Whether wall clocks may be wrong.
    pub(crate) clocks_err: bool,
    /// The store stands still until then …
    pub(crate) stuck_until: u64,
    /// … or has no leader of its own until then.
    pub(crate) leaderless_until: u64,
    /// How late the store may notice that a lease has expired.
    sweeps_late: u64,
    sweep_is_due: bool,
    pub(crate) backup: StoreData,
    /// Whether the store's data goes back to an older state.
    pub(crate) goes_back: bool,
    pub(crate) checker: Checker,
    pub(crate) liveness: Liveness,
    /// How many of a thousand messages are lost while faults are injected.
    pub(crate) loss: u64,
    /// The longest time that a message takes while faults are injected, in milliseconds.
    pub(crate) latency: u64,
    /// How often the store has published its roster. `shows_within` is the longest pause in
    /// between.
    pub(crate) shown: u64,
    /// The last roster published, and the number of the first publication with the same content.
    pub(crate) last_shown: Option<Arc<Roster>>,
    pub(crate) changed: u64,
    pub(crate) shows_within: u64,
    /// Whether there are no faults, and no effects to check.
    pub(crate) calm: bool,
    history: bool,
}

/// Random settings of a group: mostly the order of the queue counts, otherwise some preference.
fn settings(rng: &mut Rng) -> GroupConfig {
    GroupConfig {
        strategy: [Strategy::LongestRunning, Strategy::Priority][rng.usize(..2)].clone(),
        preempt: rng.bool(),
        spread: rng.bool(),
        preempt_delay: Duration::from_millis([100, 500, 5000][rng.usize(..3)]),
    }
}

impl Simulation {
    pub(crate) fn new(seed: u64, mutant: Mutant) -> Self {
        let mut rng = Rng::with_seed(seed);
        let ttl = Duration::from_secs([2, 3, 5][rng.usize(..3)]);
        let timings = Timings::derive(ttl, Duration::from_millis(500), Duration::from_secs(3));
        let count = if rng.u8(..16) == 0 { 6 } else { rng.usize(1..=2) };
        let groups: Vec<_> = (0..count).map(|n| Group::from(&*format!("g{n}"))).collect();
        let settings = groups.iter().map(|group| (group.clone(), settings(&mut rng))).collect();
        let names = ["a", "b", "c", "d", "e"];
        let hosts = (0..rng.usize(1..=5))
            .map(|n| {
                let offset = rng.u64(1000 * SECOND..1009 * SECOND);
                SimulatedHost::new(names[n], offset, rng.i64(-20_000..=20_000))
            })
            .collect();
        Self {
            now: 0,
            agenda: Agenda::default(),
            loss: [0, 10, 100, 300][rng.usize(..4)],
            latency: [2, 20, 200, 900][rng.usize(..4)],
            sweeps_late: [1, 500 * MS][rng.usize(..2)],
            goes_back: rng.u8(..16) == 0,
            job: rng.bool().then(|| SimulatedJob::new(groups[0].clone(), &mut rng)),
            epoch: DateTime::UNIX_EPOCH + TimeDelta::seconds(rng.i64(1_790_000_000..1_800_000_000)),
            clocks_err: rng.bool(),
            rng,
            mutant,
            timings: mutant.timings(timings),
            groups,
            settings,
            hosts,
            store: SimulatedStore::new(mutant, seed.is_multiple_of(2)),
            stuck_until: 0,
            leaderless_until: 0,
            sweep_is_due: false,
            backup: StoreData::default(),
            checker: Checker::default(),
            liveness: Liveness::default(),
            shown: 0,
            last_shown: None,
            changed: 0,
            shows_within: 2 * SECOND,
            calm: false,
            history: false,
        }
    }

    /// Prints what happens.
    pub(crate) fn with_history(self) -> Self {
        Self { history: true, ..self }
    }

    /// Runs the simulation to its end, or to the first broken promise.
    pub(crate) fn run(mut self) -> Result<Figures, BrokenPromise> {
        self.begin();
        self.run_until(END)?;
        let context = check_context(&self.hosts, &self.store, END);
        self.checker.end(&self.groups, context);
        if self.mutant != Mutant::Blind {
            // Hosts that see nothing spread nothing.
            self.checker.even(&self.settings, context);
        }
        self.checker.figures.worlds += 1;
        match self.checker.broken {
            Some(broken) => Err(broken),
            None => Ok(self.checker.figures),
        }
    }

    /// Lets time pass until `end`, or until the first broken promise.
    pub(crate) fn run_until(&mut self, end: u64) -> Result<(), BrokenPromise> {
        while let Some((at, event)) = self.agenda.next(end) {
            self.now = at;
            self.handle_event(event);
            if let Some(broken) = self.checker.broken.take() {
                return Err(broken);
            }
        }
        self.now = end;
        Ok(())
    }

    fn begin(&mut self) {
        for host in 0..self.hosts.len() {
            let at = self.rng.u64(..2 * SECOND);
            self.at(at, SimulationEvent::Boot(host));
        }
        if self.mutant != Mutant::Blind {
            self.at(SECOND, SimulationEvent::ShowRoster);
        }
        self.start_checks();
        if self.job.is_some() && self.clocks_err {
            for host in 0..self.hosts.len() {
                self.hosts[host].time = SimulatedWallClock::new(self.some_error());
            }
        }
        self.at(3 * SECOND, SimulationEvent::Fault);
        self.at(CLEAR, SimulationEvent::Clear);
        if self.goes_back {
            let backup = self.rng.u64(4 * SECOND..FAULTS - SECOND);
            let restore = self.rng.u64(backup..FAULTS);
            self.at(backup, SimulationEvent::Backup);
            self.at(restore, SimulationEvent::Restore);
        }
    }

    fn handle_event(&mut self, event: SimulationEvent) {
        if let Some(caller) = event.process() {
            let host = &self.hosts[caller.host];
            if host.life != caller.life {
                return;
            }
            if host.is_frozen(self.now) {
                let at = host.frozen_until + self.rng.u64(..5 * MS);
                return self.at(at, event);
            }
        }
        match event {
            SimulationEvent::ToHost(to, event) => self.feed(to, event),
            SimulationEvent::ToStore(call) => self.serve(call),
            SimulationEvent::TornDown(caller, key) => self.torn_down(caller, key),
            SimulationEvent::Wake(caller, set) => self.wake(caller, set),
            SimulationEvent::Watchdog(caller, key) => self.watchdog(caller, key),
            SimulationEvent::StopDeadline(caller, since) => self.end_is_due(caller, since),
            SimulationEvent::Request(caller, key) => self.request(caller, key),
            SimulationEvent::Answer(caller, key) => self.answer(caller, &key),
            SimulationEvent::Write(caller, key) => self.write(caller, key),
            SimulationEvent::Written(caller, write, outcome) => {
                self.written(caller, write, outcome)
            }
            SimulationEvent::Supervise(host, lease) => self.supervise(host, lease),
            SimulationEvent::Boot(host) => self.boot(host),
            SimulationEvent::Sweep => self.sweep(),
            SimulationEvent::ShowRoster => self.publish_roster(),
            SimulationEvent::RosterSeen(caller, news) => self.seen(caller, news),
            SimulationEvent::ClockSet(caller) => self.clock_set(caller),
            SimulationEvent::Compare(caller, set) => self.compare_clocks(caller, set),
            SimulationEvent::Compared(caller, asked) => self.compared(caller, *asked),
            SimulationEvent::Readiness(caller) => self.check_readiness(caller),
            SimulationEvent::JobTimer(caller, key, set) => {
                self.job_timer_expired(caller, &key, set)
            }
            SimulationEvent::LedgerCall(caller, ledger_call) => self.send(caller, *ledger_call),
            SimulationEvent::LedgerAnswered(caller, ledger_call, answer) => {
                self.ledger_answered(caller, *ledger_call, answer)
            }
            SimulationEvent::Advise(..) if !self.calm && self.now > REST => {}
            SimulationEvent::Advise(caller, set) => self.advise(caller, set),
            SimulationEvent::SecondLook(caller, group, attempt) => {
                self.recheck_campaign(caller, &group, attempt);
            }
            SimulationEvent::Remove(key) => self.remove(&key),
            SimulationEvent::CheckLiveness => self.run_checks(),
            SimulationEvent::Fault => self.fault(),
            SimulationEvent::Backup => self.backup = self.store.data.clone(),
            SimulationEvent::Restore => self.restore(),
            SimulationEvent::Clear => self.replace_all_leaders(),
        }
    }

    /// Now all hosts can lead, except for one that never will; then the leaders stop. Whatever that
    /// host left behind in the queue must not block the others.
    fn replace_all_leaders(&mut self) {
        self.remove_strangers();
        if self.rng.bool() {
            // Somebody sets the clocks right as well.
            (0..self.hosts.len()).for_each(|host| self.set_clock(host, TimeDelta::zero()));
        }
        let spoiled = usize::from(self.hosts.len() > 1 && self.rng.bool());
        for host in spoiled..self.hosts.len() {
            self.all_ready(host);
        }
        for group in self.groups.clone().into_iter().filter(|_| spoiled == 1) {
            if self.needs_right_clock(&group) {
                self.hosts[0].obstructed_until = u64::MAX;
                continue;
            }
            let reason = "its plugin is broken".to_owned();
            self.after(
                0,
                SimulationEvent::ToHost(self.caller(0), HeartEvent::NotReady { group, reason }),
            );
        }
        for host in 0..self.hosts.len() {
            if !self.hosts[host].terms.is_empty() {
                self.after(0, SimulationEvent::ToHost(self.caller(host), HeartEvent::Shutdown));
            }
        }
    }

    pub(crate) fn all_ready(&mut self, host: usize) {
        for group in self.groups.clone() {
            let unbarred = HeartEvent::Unbarred { group: group.clone() };
            self.after(0, SimulationEvent::ToHost(self.caller(host), unbarred));
            if self.needs_right_clock(&group) {
                self.hosts[host].obstructed_until = 0;
                continue;
            }
            self.after(0, SimulationEvent::ToHost(self.caller(host), HeartEvent::Ready { group }));
        }
    }

    /// Whether a host needs a right clock to lead this group.
    pub(crate) fn needs_right_clock(&self, group: &Group) -> bool {
        self.job.as_ref().is_some_and(|job| job.group == *group)
    }

    // ---- the store's clock

    /// Makes the store look when the next lease expires.
    pub(crate) fn watch_leases(&mut self) {
        if !self.sweep_is_due
            && let Some(expiry) = self.store.next_expiry()
        {
            self.sweep_is_due = true;
            let late = self.rng.u64(..self.sweeps_late);
            self.at(expiry.max(self.now) + late, SimulationEvent::Sweep);
        }
    }

    fn sweep(&mut self) {
        if self.now < self.stuck_until.max(self.leaderless_until) {
            let later = self.stuck_until.max(self.leaderless_until) + self.rng.u64(..MS);
            return self.at(later, SimulationEvent::Sweep);
        }
        self.sweep_is_due = false;
        let gone = self.store.sweep(self.now);
        self.ended(&gone, KeyEnd::RanOut);
        self.answer_winners();
        self.watch_leases();
    }

    /// Tells the checker that the store has removed keys.
    pub(crate) fn ended(&mut self, keys: &[LeaderKey], end: KeyEnd) {
        for key in keys {
            self.checker.ended(key, end, check_context(&self.hosts, &self.store, self.now));
        }
    }

    // ---- time

    pub(crate) fn caller(&self, host: usize) -> HostLife {
        HostLife { host, life: self.hosts[host].life }
    }

    pub(crate) fn faulty(&self) -> bool {
        !self.calm && self.now < FAULTS
    }

    pub(crate) fn at(&mut self, at: u64, event: SimulationEvent) {
        self.agenda.at(at, event);
    }

    pub(crate) fn after(&mut self, pause: u64, event: SimulationEvent) {
        self.at(self.now + pause, event);
    }

    /// Adds a line to the history of a replay.
    pub(crate) fn log(&self, line: impl FnOnce(&Self) -> String) {
        if self.history {
            println!("{:>9.3} {}", self.now as f64 / SECOND as f64, line(self));
        }
    }

    pub(crate) fn keeps_history(&self) -> bool {
        self.history
    }
}

/// What the checker looks at.
pub(crate) fn check_context<'a>(
    hosts: &'a [SimulatedHost],
    store: &'a SimulatedStore,
    now: u64,
) -> CheckContext<'a> {
    CheckContext { hosts, store, now }
}
