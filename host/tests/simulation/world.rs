//! A world: hosts, a store, a network, faults, and the true time.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    time::Duration,
};

use fastrand::Rng;
use soloist::{
    clock::BootTime,
    config::Timings,
    election::{Command, Event, Group, LeaderKey},
};

use crate::{
    checker::Checker,
    host::{Host, Performance},
    network::Call,
    store::{Caller, Store},
};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MS;
/// Faults happen until then …
const FAULTS: u64 = 40 * SECOND;
/// … the last of them is over by then …
const CLEAR: u64 = FAULTS + 16 * SECOND;
/// … and now somebody must lead: a TTL, its sweep, a cool-down and some tries later.
const END: u64 = CLEAR + 30 * SECOND;

#[derive(Clone, Debug)]
pub(crate) enum Happening {
    ToHost(Caller, Event),
    ToStore(Call),
    /// A term's teardown is complete.
    TornDown(Caller, LeaderKey),
    /// A timer of the heart runs out.
    Wake(Caller),
    Boot(usize),
    /// The store looks for leases that have run out.
    Sweep,
    /// The store shows each host its keys.
    Show,
    Fault,
    /// The obstacles are out of the way, the longest freeze over.
    Clear,
}

struct Due(u64, u64, Happening);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

pub(crate) struct World {
    pub(crate) now: u64,
    order: u64,
    due: BinaryHeap<Reverse<Due>>,
    pub(crate) rng: Rng,
    pub(crate) timings: Timings,
    pub(crate) groups: Vec<Group>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) store: Store,
    pub(crate) store_stuck_until: u64,
    checker: Checker,
    /// Parts in a thousand of messages that are lost while faults happen.
    pub(crate) loss: u64,
    /// The longest way of a message in milliseconds, while faults happen.
    pub(crate) latency: u64,
    history: bool,
}

impl World {
    pub(crate) fn new(seed: u64, history: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let ttl = Duration::from_secs([2, 3, 5][rng.usize(..3)]);
        let timings = Timings::derive(ttl, Duration::from_millis(500), Duration::from_secs(3));
        let groups = (0..rng.usize(1..=2)).map(|n| Group::from(format!("g{n}").as_str())).collect();
        let names = ["a", "b", "c", "d", "e"];
        let hosts = (0..rng.usize(1..=5))
            .map(|n| Host::new(names[n].into(), rng.u64(..SECOND * 9), rng.i64(-20_000..=20_000)))
            .collect();
        Self {
            now: 0,
            order: 0,
            due: BinaryHeap::new(),
            loss: [0, 10, 100, 300][rng.usize(..4)],
            latency: [2, 20, 200, 900][rng.usize(..4)],
            rng,
            timings,
            groups,
            hosts,
            store: Store::default(),
            store_stuck_until: 0,
            checker: Checker::default(),
            history,
        }
    }

    pub(crate) fn run(mut self) {
        for host in 0..self.hosts.len() {
            let at = self.rng.u64(..2 * SECOND);
            self.at(at, Happening::Boot(host));
        }
        self.at(SECOND, Happening::Sweep);
        self.at(SECOND, Happening::Show);
        self.at(3 * SECOND, Happening::Fault);
        self.at(CLEAR, Happening::Clear);
        while let Some(Reverse(Due(at, _, happening))) = self.due.pop() {
            if at > END {
                break;
            }
            self.now = at;
            self.happen(happening);
        }
        self.now = END;
        self.checker.somebody_leads(&self.groups, &self.hosts, END);
        self.tell(|world| format!("{} terms", world.checker.terms));
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::ToHost(to, event) => self.hear(to, event),
            Happening::ToStore(call) => self.serve(call),
            Happening::TornDown(caller, key) => self.torn_down(caller, key),
            Happening::Wake(caller) => self.hear(caller, Event::Tick),
            Happening::Boot(host) => self.boot(host),
            Happening::Sweep => {
                self.store.sweep(self.now);
                self.announce();
                let pause = self.rng.u64(1..500 * MS);
                self.after(pause, Happening::Sweep);
            }
            Happening::Show => self.show(),
            Happening::Fault => self.fault(),
            Happening::Clear => self.clear(),
        }
    }

    fn boot(&mut self, host: usize) {
        self.hosts[host].boot(self.timings, &self.groups);
        self.all_ready(host);
    }

    /// Now all can lead, but for one that never will; then the leaders stop.
    /// What the one left behind in the queue must not block the others.
    fn clear(&mut self) {
        let spoiled = usize::from(self.hosts.len() > 1 && self.rng.bool());
        for host in spoiled..self.hosts.len() {
            self.all_ready(host);
        }
        for group in self.groups.clone().into_iter().filter(|_| spoiled == 1) {
            let reason = "its plugin is broken".to_owned();
            self.hear(self.caller(0), Event::NotReady { group, reason });
        }
        for host in 0..self.hosts.len() {
            if !self.hosts[host].terms.is_empty() {
                self.hear(self.caller(host), Event::Shutdown);
            }
        }
    }

    fn all_ready(&mut self, host: usize) {
        for group in self.groups.clone() {
            self.hear(self.caller(host), Event::Ready { group });
        }
    }

    pub(crate) fn caller(&self, host: usize) -> Caller {
        Caller { host, life: self.hosts[host].life }
    }

    /// Gives an event to the heart and carries out what it says.
    fn hear(&mut self, to: Caller, event: Event) {
        let now = self.now;
        let Some(host) = self.awake(to, Happening::ToHost(to, event.clone())) else {
            return;
        };
        let clock = host.clock(now);
        let Some(heart) = host.heart.as_mut() else {
            return;
        };
        let commands = heart.step(event.clone(), clock);
        let wake = heart.next_wake();
        let done = heart.is_done();
        if !matches!(event, Event::Tick) || !commands.is_empty() {
            self.tell(|world| format!("{} ← {event:?} → {commands:?}", world.hosts[to.host].name));
        }
        for command in commands {
            self.checker.command(&command, to.host, &self.hosts, &self.store, self.now);
            self.carry_out(to, command);
        }
        if done {
            self.hosts[to.host].crash();
            let pause = self.rng.u64(..5 * SECOND);
            return self.after(pause, Happening::Boot(to.host));
        }
        if wake != BootTime::NEVER {
            let late = self.rng.u64(..3 * MS);
            let at = self.hosts[to.host].true_time(wake).max(self.now) + late;
            self.at(at, Happening::Wake(to));
        }
    }

    /// The host, if it lives that life; if it is frozen, `later` happens when it wakes.
    fn awake(&mut self, caller: Caller, later: Happening) -> Option<&mut Host> {
        let host = &self.hosts[caller.host];
        if host.life != caller.life {
            return None;
        }
        if host.is_frozen(self.now) {
            let at = host.frozen_until + self.rng.u64(..5 * MS);
            self.at(at, later);
            return None;
        }
        Some(&mut self.hosts[caller.host])
    }

    fn carry_out(&mut self, from: Caller, command: Command) {
        match command {
            Command::Start { key, deadline } => {
                let term = Performance {
                    key: key.clone(),
                    deadline,
                    closed: false,
                    robbed: !self.store.exists(&key),
                };
                self.hosts[from.host].terms.insert(key.group, term);
            }
            Command::Extend { deadline, .. } => {
                for term in self.hosts[from.host].terms.values_mut() {
                    term.deadline = deadline;
                }
            }
            Command::Drain { key, .. } => {
                let takes = self.rng.u64(..5 * SECOND);
                self.after(takes, Happening::ToHost(from, Event::Drained { key }));
            }
            Command::Stop { key, .. } => {
                if let Some(term) = self.hosts[from.host].terms.get_mut(&key.group) {
                    term.closed = true;
                }
                let takes = self.rng.u64(..self.timings.stop_budget.as_nanos() as u64);
                self.after(takes, Happening::TornDown(from, key));
            }
            request => self.ask(from, request),
        }
    }

    fn torn_down(&mut self, caller: Caller, key: LeaderKey) {
        let later = Happening::TornDown(caller, key.clone());
        if let Some(host) = self.awake(caller, later) {
            host.terms.remove(&key.group);
            self.hear(caller, Event::Stopped { key });
        }
    }

    // ---- time

    pub(crate) fn faulty(&self) -> bool {
        self.now < FAULTS
    }

    pub(crate) fn at(&mut self, at: u64, happening: Happening) {
        self.order += 1;
        self.due.push(Reverse(Due(at, self.order, happening)));
    }

    pub(crate) fn after(&mut self, pause: u64, happening: Happening) {
        self.at(self.now + pause, happening);
    }

    /// Adds a line to the history of a replay.
    pub(crate) fn tell(&self, line: impl FnOnce(&Self) -> String) {
        if self.history {
            println!("{:>9.3} {}", self.now as f64 / SECOND as f64, line(self));
        }
    }
}
