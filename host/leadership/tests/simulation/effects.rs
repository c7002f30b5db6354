//! The visible effects of a term: answers to clients, and guarded writes.

use soloist_heart::{HeartEvent, LeaderKey};

use crate::{
    mutant::Mutant,
    register::{RegisterWrite, WriteFate},
    simulated_store::HostLife,
    simulation::{MS, SECOND, Simulation},
    simulation_event::SimulationEvent,
    store_request::StoreRequest,
};

/// The longest pause between two writes, or between two requests of a client.
const PAUSE: u64 = SECOND;

/// What an action knows of its register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RegisterWriter {
    /// The write that is being attempted.
    id: usize,
    /// The register's version that the write expects.
    version: usize,
}

impl Simulation {
    /// A writer with its first write.
    pub(crate) fn writer(&mut self) -> RegisterWriter {
        RegisterWriter { id: self.checker.new_write(), version: 0 }
    }

    /// A term's actions start.
    pub(crate) fn perform(&mut self, caller: HostLife, key: &LeaderKey) {
        self.ask(caller, StoreRequest::Proclaim(key.clone()));
        if self.calm {
            return;
        }
        let (first, request) = (self.rng.u64(..PAUSE), self.rng.u64(..PAUSE));
        self.after(first, SimulationEvent::Write(caller, key.clone()));
        self.after(request, SimulationEvent::Request(caller, key.clone()));
    }

    /// A client's request arrives.
    pub(crate) fn request(&mut self, caller: HostLife, key: LeaderKey) {
        let host = &self.hosts[caller.host];
        let Some(term) = host.term(&key) else { return };
        if term.admits(host.clock(self.now)) {
            // Most take little time; some take longer than a lease.
            let longest = if self.rng.u8(..8) == 0 { 5 * SECOND } else { 200 * MS };
            let work = self.rng.u64(..longest);
            self.after(work, SimulationEvent::Answer(caller, key.clone()));
        } else {
            self.checker.figures.refused += 1;
        }
        let pause = self.rng.u64(..PAUSE);
        self.after(pause, SimulationEvent::Request(caller, key));
    }

    /// The answer to a client's request is about to be sent.
    pub(crate) fn answer(&mut self, caller: HostLife, key: &LeaderKey) {
        let host = &self.hosts[caller.host];
        let passes = host.term(key).is_some_and(|term| {
            term.passes(host.clock(self.now)) || self.mutant == Mutant::UngatedAnswers
        });
        if passes {
            self.checker.answer(key, host, self.now);
        } else {
            self.checker.figures.refused += 1;
        }
    }

    /// An action writes, if the gate allows it.
    pub(crate) fn write(&mut self, caller: HostLife, key: LeaderKey) {
        let host = &self.hosts[caller.host];
        let Some(term) = host.term(&key) else { return };
        if term.passes(host.clock(self.now)) {
            let RegisterWriter { id, version } = term.writer;
            self.ask(caller, StoreRequest::Write(RegisterWrite { key, id, only_if: version }));
        }
    }

    /// An action learns the outcome of its write.
    pub(crate) fn written(&mut self, caller: HostLife, write: RegisterWrite, outcome: WriteFate) {
        let RegisterWrite { key, id, only_if } = write;
        if self.hosts[caller.host].term(&key).is_none() {
            return;
        }
        let hopeful = self.mutant == Mutant::Hopeful;
        let (done, version) = match outcome {
            WriteFate::Applied => (true, only_if + 1),
            // An earlier attempt of it has arrived.
            WriteFate::Conflict { version, last } => (last == Some(id), version),
            WriteFate::Unknown => (hopeful, only_if),
            WriteFate::Fenced => return self.feed(caller, HeartEvent::KeyGone { key }),
        };
        let mut writer = RegisterWriter { id, version };
        let pause = match outcome {
            _ if done => PAUSE,
            WriteFate::Conflict { .. } => MS,
            _ => self.timings.retry.as_nanos() as u64,
        };
        if done {
            self.checker.acknowledged(&key, id, self.now);
            writer.id = self.checker.new_write();
        }
        if let Some(term) = self.hosts[caller.host].terms.get_mut(&key.group) {
            term.writer = writer;
        }
        let pause = self.rng.u64(..pause);
        self.after(pause, SimulationEvent::Write(caller, key));
    }
}
