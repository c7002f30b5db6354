//! The process of a host: it feeds the heart and carries out its commands, as the driver and a term
//! do; and the supervisor that reacts when the process dies.

use soloist_heart::{EndCause, HeartCommand, HeartEvent, LeaderKey, LeaseId, clock::BootTime};

use crate::{
    jobs::JobKeeper,
    mutant::Mutant,
    simulated_host::{GatePhase, SimulatedTerm},
    simulated_store::HostLife,
    simulation::{MS, SECOND, Simulation, check_context},
    simulation_event::SimulationEvent,
    store_request::StoreRequest,
};

/// The life number for calls that no process waits for.
const NOBODY: u32 = 0;

impl Simulation {
    pub(crate) fn boot(&mut self, host: usize) {
        self.hosts[host].boot(self.timings, &self.settings);
        self.log(|simulation| format!("{} boots", simulation.hosts[host].name));
        self.all_ready(host);
        if self.job.is_some() {
            let pause = self.rng.u64(..500 * MS);
            self.after(pause, SimulationEvent::Readiness(self.caller(host)));
        }
    }

    /// Feeds an event to the heart and carries out its commands.
    pub(crate) fn feed(&mut self, to: HostLife, mut event: HeartEvent) {
        let host = &mut self.hosts[to.host];
        let clock = host.clock(self.now);
        let granted = match &event {
            HeartEvent::Granted { lease, .. } => Some(*lease),
            _ => None,
        };
        if let Some(lease) = granted {
            host.lease = Some(lease);
        }
        match event {
            HeartEvent::StoreChanged { .. } => {
                host.revision = self.store.data.revision;
                host.learn_raises(&self.store.data);
                host.expects_raise = true;
            }
            HeartEvent::TokensRaised { .. } => {
                host.learn_raises(&self.store.data);
                host.expects_raise = false;
            }
            _ => {}
        }
        if self.mutant == Mutant::CountsFromReceipt
            && let HeartEvent::Granted { sent, .. } | HeartEvent::Renewed { sent, .. } = &mut event
        {
            *sent = clock;
        }
        let stops = matches!(event, HeartEvent::Shutdown);
        let event_text = self.history_of(&event);
        let host = &mut self.hosts[to.host];
        let Some(heart) = host.heart.as_mut() else {
            return;
        };
        let commands = heart.step(event, clock);
        let (wake, done) = (heart.next_wake(), heart.is_done());
        if let Some(event) = event_text.filter(|event| event != "Tick" || !commands.is_empty()) {
            self.log(|simulation| {
                format!("{} ← {event} → {commands:?}", simulation.hosts[to.host].name)
            });
        }
        if let Some(lease) = granted {
            self.join(to, lease);
        }
        if stops {
            self.hosts[to.host].stopping = true;
            self.schedule_end_check(to);
        }
        for command in commands {
            self.checker.command(
                &command,
                to.host,
                check_context(&self.hosts, &self.store, self.now),
            );
            self.carry_out(to, command);
        }
        if done {
            self.hosts[to.host].die();
            let pause = self.rng.u64(..5 * SECOND);
            return self.after(pause, SimulationEvent::Boot(to.host));
        }
        self.set_timer(to, wake);
    }

    fn history_of(&self, event: &HeartEvent) -> Option<String> {
        self.keeps_history().then(|| format!("{event:?}"))
    }

    /// Sets the process's only timer, if the new time is earlier.
    fn set_timer(&mut self, caller: HostLife, wake: BootTime) {
        if wake == BootTime::NEVER {
            return;
        }
        let due = self.hosts[caller.host].true_time(wake).max(self.now);
        if self.hosts[caller.host].armed.is_none_or(|armed| armed > due + 3 * MS) {
            let at = due + self.rng.u64(..3 * MS);
            self.hosts[caller.host].armed = Some(at);
            self.at(at, SimulationEvent::Wake(caller, at));
        }
    }

    pub(crate) fn wake(&mut self, caller: HostLife, set: u64) {
        if self.hosts[caller.host].armed.take_if(|armed| *armed == set).is_some() {
            self.feed(caller, HeartEvent::Tick);
        }
    }

    fn carry_out(&mut self, from: HostLife, command: HeartCommand) {
        match command {
            HeartCommand::Start { key, deadline } => self.start(from, key, deadline),
            HeartCommand::Extend { deadline, .. } => {
                for term in self.hosts[from.host].terms.values_mut() {
                    term.deadline = deadline;
                }
            }
            HeartCommand::Drain { key, .. } => {
                self.set_gate_phase(from, &key, GatePhase::Draining);
                let longest = if self.calm { 200 * MS } else { 5 * SECOND };
                let takes = self.rng.u64(..longest);
                self.after(takes, SimulationEvent::ToHost(from, HeartEvent::Drained { key }));
            }
            HeartCommand::Stop { key, cause } => self.stop(from, key, &cause),
            HeartCommand::Verify { key } => self.verify(from, key),
            request => self.ask(from, StoreRequest::Command(request)),
        }
    }

    /// Joins the members, which takes some time, and longer if another host has the same name.
    fn join(&mut self, host: HostLife, lease: LeaseId) {
        let takes = self.rng.u64(MS / 5..20 * MS);
        if self.faulty() && self.rng.u8(..16) == 0 {
            let reason = "another host is called so as well".to_owned();
            self.after(
                takes,
                SimulationEvent::ToHost(host, HeartEvent::NotJoined { lease, reason }),
            );
            let later = takes + self.rng.u64(..8 * SECOND);
            return self.after(later, SimulationEvent::ToHost(host, HeartEvent::Joined { lease }));
        }
        self.after(takes, SimulationEvent::ToHost(host, HeartEvent::Joined { lease }));
    }

    fn start(&mut self, from: HostLife, key: LeaderKey, deadline: BootTime) {
        let robbed = self.store.was_removed(&key);
        let outdated = self.store.raised_above >= Some(key.fencing_token);
        let (phase, writer) = (GatePhase::Open, self.writer());
        self.perform(from, &key);
        self.led(&key.group);
        let host = &mut self.hosts[from.host];
        host.highest.insert(key.group.clone(), key.fencing_token);
        let (group, job_keeper) = (key.group.clone(), JobKeeper::default());
        let term = SimulatedTerm {
            key: key.clone(),
            deadline,
            phase,
            robbed,
            outdated,
            writer,
            job_keeper,
        };
        host.terms.insert(group, term);
        self.begin_job(from, &key);
    }

    fn verify(&mut self, from: HostLife, key: LeaderKey) {
        let seen = &mut self.hosts[from.host].seen;
        if self.store.exists(&key) {
            seen.insert(key.group.clone(), key.clone());
        } else {
            seen.remove(&key.group);
        }
        if self.mutant == Mutant::Unverified {
            self.after(0, SimulationEvent::ToHost(from, HeartEvent::Verified { key, holds: true }));
        } else {
            self.ask(from, StoreRequest::Command(HeartCommand::Verify { key }));
        }
    }

    /// Closes the gate and begins the teardown, which may take longer while the lease holds.
    fn stop(&mut self, from: HostLife, key: LeaderKey, cause: &EndCause) {
        self.set_gate_phase(from, &key, GatePhase::Closed);
        if self.mutant == Mutant::ResignsEarly {
            self.ask(from, StoreRequest::Command(HeartCommand::Resign { key: key.clone() }));
        }
        let budget = self.timings.stop_timeout.as_nanos() as u64;
        let takes = match self.rng.u8(..4) {
            0 if cause.drains() && !self.calm => {
                self.rng.u64(..self.timings.stop_limit.as_nanos() as u64)
            }
            1 => self.rng.u64(budget - budget / 50..budget),
            _ => self.rng.u64(..budget),
        };
        if takes > budget && self.mutant != Mutant::NoWatchdog {
            self.after(0, SimulationEvent::Watchdog(from, key.clone()));
        }
        self.after(takes, SimulationEvent::TornDown(from, key));
    }

    fn set_gate_phase(&mut self, caller: HostLife, key: &LeaderKey, phase: GatePhase) {
        if let Some(term) = self.hosts[caller.host].terms.get_mut(&key.group) {
            term.phase = term.phase.max(phase);
        }
    }

    pub(crate) fn torn_down(&mut self, caller: HostLife, key: LeaderKey) {
        self.hosts[caller.host].terms.remove(&key.group);
        if self.mutant == Mutant::Untold && self.hosts[caller.host].stopping {
            return;
        }
        self.feed(caller, HeartEvent::Stopped { key });
    }

    /// Ends the process if part of a term outlives its deadline by more than the stop timeout.
    pub(crate) fn watchdog(&mut self, caller: HostLife, key: LeaderKey) {
        let host = &self.hosts[caller.host];
        let Some(term) = host.term(&key) else { return };
        let patience = self.timings.stop_timeout.as_nanos() as u64;
        let ends = host.true_time(term.deadline) + patience;
        if self.now >= ends {
            self.log(|simulation| format!("{} aborts", simulation.hosts[caller.host].name));
            return self.crash(caller.host, true);
        }
        self.at(ends, SimulationEvent::Watchdog(caller, key));
    }

    /// A host that was told to stop must have ended when everything has used up its time, and the
    /// lease, renewed until the end, has expired.
    fn schedule_end_check(&mut self, host: HostLife) {
        let timings = self.timings;
        let longest =
            timings.drain_timeout + timings.stop_limit + timings.ttl + timings.request_timeout;
        self.after(
            (longest + longest / 10).as_nanos() as u64,
            SimulationEvent::StopDeadline(host, self.now),
        );
    }

    /// `since`: when it was told to stop, or when the previous deadline was.
    pub(crate) fn end_is_due(&mut self, host: HostLife, since: u64) {
        if self.hosts[host.host].last_woke > since {
            // Add the time that was lost to a freeze.
            return self.schedule_end_check(host);
        }
        self.checker.has_not_stopped(&self.hosts[host.host], self.now);
    }

    // ---- the supervisor

    /// The process has crashed. A supervisor that survives revokes its lease and starts another
    /// one. Otherwise the lease has to expire, and the machine takes its time.
    pub(crate) fn crash(&mut self, host: usize, supervised: bool) {
        if self.hosts[host].heart.is_none() {
            return;
        }
        self.log(|simulation| {
            format!("{} crashes, supervised: {supervised}", simulation.hosts[host].name)
        });
        let lease = self.hosts[host].lease;
        self.hosts[host].die();
        if supervised {
            let notices = self.rng.u64(MS / 10..20 * MS);
            if let Some(lease) = lease {
                self.after(notices, SimulationEvent::Supervise(host, lease));
            }
            let back_off = [0, 200 * MS, SECOND][self.rng.usize(..3)];
            self.after(notices + back_off, SimulationEvent::Boot(host));
        } else {
            let pause = self.rng.u64(10 * MS..8 * SECOND);
            self.after(pause, SimulationEvent::Boot(host));
        }
    }

    /// Revokes a dead process's lease, and repeats that until it is acknowledged.
    pub(crate) fn supervise(&mut self, host: usize, lease: LeaseId) {
        let dead = HostLife { host, life: NOBODY };
        if !self.tell_store(dead, HeartCommand::Revoke { lease }) {
            let again = self.timings.request_timeout.as_nanos() as u64;
            self.after(again, SimulationEvent::Supervise(host, lease));
        }
    }
}
