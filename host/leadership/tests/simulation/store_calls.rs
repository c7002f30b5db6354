//! Calls to the store. Each is answered once: by the store, or by a time-out.

use soloist_heart::{FencingToken, Group, HeartCommand, HeartEvent, LeaderKey};

use crate::{
    checker::KeyEnd,
    mutant::Mutant,
    register::{RegisterWrite, WriteFate},
    simulated_store::{HostLife, WaitingCampaign},
    simulation::{CLEAR, MS, SECOND, Simulation},
    simulation_event::SimulationEvent,
    store_request::{StoreCall, StoreRequest},
};

impl Simulation {
    /// Sends a request. Without an answer in time the caller is told of a failure, although the
    /// request may still arrive.
    pub(crate) fn ask(&mut self, from: HostLife, request: StoreRequest) {
        let until = self.now + self.timings.request_timeout.as_nanos() as u64;
        let call = StoreCall { from, request, until, awaited: true };
        match self.delay_out(from.host) {
            Some(delay) => self.schedule_call(self.now + delay, call),
            None => self.give_up(call, until),
        }
    }

    /// Sends a command whose answer changes nothing for its caller. Returns whether both the
    /// command and its answer arrive.
    pub(crate) fn tell_store(&mut self, from: HostLife, command: HeartCommand) -> bool {
        let Some(delay) = self.delay_out(from.host) else { return false };
        let request = StoreRequest::Command(command);
        self.schedule_call(
            self.now + delay,
            StoreCall { from, request, until: self.now, awaited: false },
        );
        self.delay_back(from.host).is_some()
    }

    /// Lets a call arrive at a certain time.
    fn schedule_call(&mut self, at: u64, mut call: StoreCall) {
        if call.awaited && at > call.until {
            call.awaited = false;
            self.give_up(call.clone(), call.until);
        }
        self.at(at, SimulationEvent::ToStore(call));
    }

    fn give_up(&mut self, call: StoreCall, at: u64) {
        match &call.request {
            StoreRequest::Command(command) => match command {
                HeartCommand::Campaign { group, .. } => {
                    self.call_failed(call.from.host, Some(group))
                }
                HeartCommand::Verify { key } | HeartCommand::Resign { key } => {
                    self.call_failed(call.from.host, Some(&key.group));
                }
                _ => self.call_failed(call.from.host, None),
            },
            StoreRequest::Job(_) => self.ledger_call_failed(),
            StoreRequest::Proclaim(_) | StoreRequest::Write(_) => {}
        }
        if self.mutant == Mutant::WaitsForEver {
            return;
        }
        if let Some(failure) = call.request.failure(call.from) {
            self.at(at.max(self.now), failure);
        }
    }

    /// Sends an answer back, or lets the caller time out.
    fn reply(&mut self, call: StoreCall, answer: SimulationEvent) {
        if !call.awaited {
            return;
        }
        match self.delay_back(call.from.host) {
            Some(delay) if self.now + delay <= call.until || call.request.waits() => {
                self.observe_revision(call.from);
                self.after(delay, answer);
            }
            _ => {
                let until = call.until;
                self.give_up(call, until);
            }
        }
    }

    /// The store handles a request, if its state allows that.
    pub(crate) fn serve(&mut self, call: StoreCall) {
        if self.now < self.stuck_until {
            return self.schedule_call(self.stuck_until, call);
        }
        if self.now < self.leaderless_until {
            return self.serve_leaderless(call);
        }
        let from = call.from;
        if self.is_behind(from) {
            self.notice_older_store(from);
            if call.awaited {
                self.give_up(call, self.now);
            }
            return;
        }
        let answer = match &call.request {
            StoreRequest::Write(write) => {
                let write = write.clone();
                let outcome = self.apply(&write);
                Some(SimulationEvent::Written(from, write, outcome))
            }
            StoreRequest::Job(ledger_call) => {
                let ledger_call = ledger_call.clone();
                let answer = self.serve_ledger(&ledger_call);
                Some(SimulationEvent::LedgerAnswered(from, ledger_call, answer))
            }
            StoreRequest::Proclaim(key) => {
                self.store.proclaim(key);
                None
            }
            StoreRequest::Command(command) => {
                let command = command.clone();
                self.execute(&call, command).map(|event| SimulationEvent::ToHost(from, event))
            }
        };
        if let Some(answer) = answer {
            self.reply(call, answer);
        }
        self.answer_winners();
    }

    /// While the store elects its own leader, calls hang or fail at once; some of those that fail
    /// are carried out nevertheless.
    fn serve_leaderless(&mut self, mut call: StoreCall) {
        let until = self.leaderless_until;
        match self.rng.u8(..3) {
            0 => return self.schedule_call(until, call),
            1 => {
                let abandoned = StoreCall { awaited: false, ..call.clone() };
                self.at(until, SimulationEvent::ToStore(abandoned));
            }
            _ => {}
        }
        if call.awaited {
            let delay = self.delay_back(call.from.host).unwrap_or(u64::MAX / 4);
            let at = call.until.min(self.now + delay);
            call.awaited = false;
            self.give_up(call, at);
        }
    }

    fn execute(&mut self, call: &StoreCall, command: HeartCommand) -> Option<HeartEvent> {
        let (from, ttl) = (call.from, self.timings.ttl);
        match command {
            HeartCommand::Grant { sent } => {
                let lease = self.store.grant(from.host, ttl, self.now);
                self.watch_leases();
                Some(HeartEvent::Granted { lease, ttl, sent })
            }
            HeartCommand::Renew { lease, sent } => {
                Some(if self.store.renew(lease, ttl, self.now) {
                    HeartEvent::Renewed { lease, ttl, sent }
                } else {
                    HeartEvent::LeaseGone { lease }
                })
            }
            // The store refuses to give up this host's lease and keys.
            HeartCommand::Revoke { lease } if self.refuses(from) => {
                Some(HeartEvent::Released { lease })
            }
            HeartCommand::Resign { key } if self.refuses(from) => {
                Some(HeartEvent::ResignFailed { key })
            }
            HeartCommand::Revoke { lease } => {
                let keys = self.store.revoke(lease);
                self.ended(&keys, KeyEnd::GivenBack);
                Some(HeartEvent::Released { lease })
            }
            HeartCommand::Campaign { group, lease, attempt } => {
                let stands = self.store.stand(from, &group, lease, attempt, call.awaited);
                stands.is_none().then_some(HeartEvent::CampaignFailed { group, attempt })
            }
            HeartCommand::Withdraw { group, attempt } => {
                let key = self.store.forget(from, &group, attempt)?;
                // Sometimes the server fails to clean up, but not forever.
                let careless = !self.calm && self.now < CLEAR + SECOND && self.rng.u8(..4) == 0;
                if !careless && self.store.resign(&key) {
                    self.ended(std::slice::from_ref(&key), KeyEnd::GivenBack);
                    self.notify_later_campaigns(&key);
                }
                None
            }
            HeartCommand::Verify { key } => {
                let holds = self.store.verify(&key);
                Some(HeartEvent::Verified { key, holds })
            }
            HeartCommand::Resign { key } => {
                if self.store.resign(&key) {
                    self.ended(std::slice::from_ref(&key), KeyEnd::GivenBack);
                }
                Some(HeartEvent::Resigned { key })
            }
            HeartCommand::RaiseTokens { above } => {
                if self.store.raise_tokens(above, ttl, self.now) {
                    self.tokens_raised(above);
                }
                Some(HeartEvent::TokensRaised { above })
            }
            _ => None,
        }
    }

    fn refuses(&self, from: HostLife) -> bool {
        self.now < self.hosts[from.host].refused_until
    }

    /// The register handles a write, if its guard holds.
    fn apply(&mut self, write: &RegisterWrite) -> WriteFate {
        if self.mutant != Mutant::Unfenced && !self.store.exists(&write.key) {
            self.checker.figures.fenced += 1;
            return WriteFate::Fenced;
        }
        let conditional = self.mutant != Mutant::Unconditional;
        let register = self.store.data.registers.entry(write.key.group.clone()).or_default();
        let outcome = register.write(write, conditional);
        self.log(|_| {
            format!(
                "{}/{} writes {} → {outcome:?}",
                write.key.group, write.key.fencing_token, write.id
            )
        });
        if outcome == WriteFate::Applied {
            self.store.data.revision += 1;
            self.checker.applied(write, self.now);
        }
        outcome
    }

    /// Answers the campaigns that are won by now.
    pub(crate) fn answer_winners(&mut self) {
        if self.store.waiting.is_empty() {
            return;
        }
        for waiting in self.store.winners() {
            if !waiting.awaited {
                continue;
            }
            if self.faulty() && self.rng.u8(..32) == 0 {
                self.lose_wake_up(waiting);
                continue;
            }
            let WaitingCampaign { caller, attempt, key, .. } = waiting;
            match self.delay_back(caller.host) {
                Some(delay) => {
                    self.notification_takes(&key.group, delay);
                    self.after(
                        delay,
                        SimulationEvent::ToHost(caller, HeartEvent::Won { attempt, key }),
                    );
                }
                None => self.fail_campaign(caller, key, attempt),
            }
        }
    }

    /// Notifies later campaigns that wait with a key that it is gone; they stand again.
    fn notify_later_campaigns(&mut self, key: &LeaderKey) {
        let theirs: Vec<_> = self.store.waiting.extract_if(.., |w| w.key == *key).collect();
        for WaitingCampaign { caller, attempt, key, .. } in theirs {
            self.fail_campaign(caller, key, attempt);
        }
    }

    /// The notification that a campaign is won gets lost; the campaign finds out when it checks
    /// again.
    fn lose_wake_up(&mut self, waiting: WaitingCampaign) {
        self.log(|_| format!("nobody tells {} that it is first", waiting.key.key));
        let (caller, attempt, group) = (waiting.caller, waiting.attempt, waiting.key.group.clone());
        self.store.waiting.push(WaitingCampaign { deaf: true, ..waiting });
        self.notification_takes(&group, self.longest_recheck());
        if self.mutant != Mutant::NoSecondLook {
            let pause = self.rng.u64(..self.longest_recheck());
            self.after(pause, SimulationEvent::SecondLook(caller, group, attempt));
        }
    }

    /// A campaign checks again, whether it was notified or not.
    pub(crate) fn recheck_campaign(&mut self, caller: HostLife, group: &Group, attempt: u64) {
        let theirs = |w: &&mut WaitingCampaign| {
            (w.caller, w.attempt, &w.key.group) == (caller, attempt, group)
        };
        if let Some(waiting) = self.store.waiting.iter_mut().find(theirs) {
            waiting.deaf = false;
            self.answer_winners();
        }
    }

    /// Whether a process has seen more of the store's history than the store has, or its fencing
    /// tokens were raised because another process has.
    pub(crate) fn is_behind(&self, of: HostLife) -> bool {
        let host = &self.hosts[of.host];
        let oblivious = self.mutant == Mutant::Oblivious;
        let data = &self.store.data;
        let raised =
            !host.expects_raise && host.known_raises.is_some_and(|raises| raises != data.raises);
        !oblivious && host.life == of.life && (data.revision < host.revision || raised)
    }

    /// A process that connects to a store that is behind notices that before it requests or
    /// receives anything else, if the answer reaches it.
    pub(crate) fn notice_older_store(&mut self, from: HostLife) {
        let Some(delay) = self.delay_back(from.host) else {
            return self.publication_lost(from.host);
        };
        let host = &self.hosts[from.host];
        let (seen, revision) = (host.revision, self.store.data.revision);
        let seen = format!("the store went back from {seen} to {revision}, or was raised");
        let above = FencingToken(host.highest_token());
        self.after(delay, SimulationEvent::ToHost(from, HeartEvent::StoreChanged { seen, above }));
    }

    /// A process receives something from the store.
    pub(crate) fn observe_revision(&mut self, who: HostLife) {
        let host = &mut self.hosts[who.host];
        if host.life != who.life {
            return;
        }
        host.revision = host.revision.max(self.store.data.revision);
        if host.expects_raise || host.known_raises.is_none() {
            host.learn_raises(&self.store.data);
        }
        // If the store has passed the revision that was seen of it before anybody looked, nothing
        // shows that it went back.
        if host.heart.as_ref().is_some_and(|heart| heart.setback().is_none()) {
            let highest = self.store.highest_token();
            host.must_exceed.take_if(|must_exceed| *must_exceed <= highest);
        }
    }

    /// The connection that a campaign waits on is lost, and its caller notices.
    pub(crate) fn fail_campaign(&mut self, caller: HostLife, key: LeaderKey, attempt: u64) {
        let delay = self.rng.u64(MS / 5..self.latency * MS);
        self.call_failed(caller.host, Some(&key.group));
        let event = HeartEvent::CampaignFailed { group: key.group, attempt };
        self.after(delay, SimulationEvent::ToHost(caller, event));
    }
}
