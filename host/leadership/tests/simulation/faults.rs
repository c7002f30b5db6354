//! The faults that the simulation injects.

use std::mem;

use soloist_heart::{EndCause, FencingToken, Group, HeartEvent, LeaderKey, LeaseId};

use crate::{
    mutant::Mutant,
    network::NetworkCut,
    simulation::{FAULTS, MS, SECOND, Simulation, check_context},
    simulation_event::SimulationEvent,
};

impl Simulation {
    /// Injects a fault, and schedules the next one.
    pub(crate) fn fault(&mut self) {
        if !self.faulty() {
            return;
        }
        self.checker.figures.faults += 1;
        let host = self.some_host();
        let long = self.rng.u64(10 * MS..3 * self.timings.ttl.as_nanos() as u64);
        match self.rng.u8(..if self.clocks_err { 24 } else { 21 }) {
            0..3 => self.freeze(host, long),
            3..6 => self.cut_off(host, long),
            6 => (0..self.hosts.len()).for_each(|host| self.cut_off(host, long / 2)),
            7..9 => self.crash(host, true),
            9 => self.crash(host, false),
            10 => self.pause_store(long / 4),
            11 => self.lose_store_leader(long / 4),
            12 => self.obstruct(host),
            13..15 => self.make_random_request(host),
            15..17 => self.bar_or_reorder(host),
            17 => self.refuse_resignations(host),
            18 => self.lose_notifications(host),
            19 => self.add_foreign_key(),
            20 => self.delete_by_hand(),
            _ => {
                let ahead = self.some_error();
                self.set_clock(host, ahead);
            }
        }
        let pause = self.rng.u64(..3 * SECOND);
        self.after(pause, SimulationEvent::Fault);
    }

    /// Picks a host; leaders are picked more often.
    fn some_host(&mut self) -> usize {
        let start = self.rng.usize(..self.hosts.len());
        let leads = |host: &usize| !self.hosts[*host].terms.is_empty();
        let leader = (start..self.hosts.len()).chain(0..start).find(leads);
        leader.filter(|_| self.rng.bool()).unwrap_or(start)
    }

    fn freeze(&mut self, host: usize, long: u64) {
        self.log(|simulation| {
            format!("{} freezes for {} ms", simulation.hosts[host].name, long / MS)
        });
        self.hosts[host].freeze(self.now, long, self.mutant == Mutant::SleepyClock);
        if let Some(lease) = self.hosts[host].lease
            && self.mutant == Mutant::HastySupervisor
        {
            self.after(0, SimulationEvent::Supervise(host, lease));
        }
    }

    /// Cuts the connection between a host and the store, or one direction of it: requests then
    /// arrive but their answers do not, or only answers to earlier requests arrive.
    fn cut_off(&mut self, host: usize, long: u64) {
        let (since, until) = (self.now, self.now + long);
        let cut = NetworkCut { since, until, held: self.rng.bool() };
        let (out, back) = [(true, true), (true, false), (false, true)][self.rng.usize(..3)];
        self.log(|simulation| {
            let name = simulation.hosts[host].name;
            format!("{name} is cut off for {} ms, out {out}, back {back}, {cut:?}", long / MS)
        });
        if out {
            self.hosts[host].out.again(cut);
        }
        if back {
            self.hosts[host].back.again(cut);
        }
    }

    /// The store stands still. Requests to it wait.
    fn pause_store(&mut self, long: u64) {
        self.log(|_| format!("the store stands still for {} ms", long / MS));
        self.stuck_until = self.now + long;
    }

    /// The store refuses to let the host give anything up, for longer than the host may take to
    /// stop.
    fn refuse_resignations(&mut self, host: usize) {
        self.log(|simulation| format!("nothing is taken back of {}", simulation.hosts[host].name));
        self.hosts[host].refused_until = FAULTS;
        if self.rng.bool() {
            let pause = self.rng.u64(..SECOND);
            self.after(pause, SimulationEvent::ToHost(self.caller(host), HeartEvent::Shutdown));
        }
    }

    /// The store loses its leader, and breaks every call that waits. The next leader gives every
    /// lease its full time again.
    fn lose_store_leader(&mut self, long: u64) {
        self.log(|_| format!("the store has no leader for {} ms", long / MS));
        self.leaderless_until = self.now + long;
        self.store.promote(self.timings.ttl, self.leaderless_until);
        self.break_campaigns();
    }

    fn break_campaigns(&mut self) {
        for waiting in mem::take(&mut self.store.waiting) {
            if waiting.awaited {
                self.fail_campaign(waiting.caller, waiting.key, waiting.attempt);
            }
        }
    }

    /// The host cannot run a group's actions for a while.
    fn obstruct(&mut self, host: usize) {
        let (caller, group) = (self.caller(host), self.some_group());
        let reason = "its port is taken".to_owned();
        let pause = self.rng.u64(..5 * SECOND);
        if self.needs_right_clock(&group) {
            self.hosts[host].obstructed_until = self.now + pause;
            return;
        }
        self.after(
            0,
            SimulationEvent::ToHost(caller, HeartEvent::NotReady { group: group.clone(), reason }),
        );
        self.after(pause, SimulationEvent::ToHost(caller, HeartEvent::Ready { group }));
    }

    /// Somebody stops the host or asks it to resign, or one of its actions fails.
    fn make_random_request(&mut self, host: usize) {
        let (caller, group) = (self.caller(host), self.some_group());
        let key = self.hosts[host].terms.get(&group).map(|term| term.key.clone());
        let event = match (key, self.rng.u8(..3)) {
            (Some(key), 0) => {
                let (action, reason) = ("web".to_owned(), "it trapped".to_owned());
                HeartEvent::HandOver { key, cause: EndCause::ActionFailed { action, reason } }
            }
            (Some(key), 1) => {
                let (by, reason) = ("somebody".to_owned(), "the machine is needed".to_owned());
                HeartEvent::HandOver { key, cause: EndCause::Asked { by, reason } }
            }
            _ => HeartEvent::Shutdown,
        };
        self.after(0, SimulationEvent::ToHost(caller, event));
    }

    /// People or a strategy want another order in the queue, or bar the host for a while.
    fn bar_or_reorder(&mut self, host: usize) {
        let (caller, group) = (self.caller(host), self.some_group());
        let key = self.hosts[host].terms.get(&group).map(|term| term.key.clone());
        let event = match (key, self.rng.u8(..3)) {
            (Some(key), 0) => {
                HeartEvent::HandOver { key, cause: EndCause::Preferred { host: "b".into() } }
            }
            (_, 1) => {
                let pause = self.rng.u64(..5 * SECOND);
                let over = HeartEvent::Unbarred { group: group.clone() };
                self.after(pause, SimulationEvent::ToHost(caller, over));
                HeartEvent::Barred { group, reason: "somebody drained it".to_owned() }
            }
            _ => HeartEvent::StepBack { group },
        };
        self.after(0, SimulationEvent::ToHost(caller, event));
    }

    /// The host's notifications stop without an error, until it checks again.
    fn lose_notifications(&mut self, host: usize) {
        self.log(|simulation| format!("{} hears of no change", simulation.hosts[host].name));
        let long = self.rng.u64(..self.longest_recheck());
        let ever = self.mutant == Mutant::StaysDeaf;
        let (until, sight) = (self.now + long, &mut self.hosts[host].sight);
        sight.deaf_until = if ever { u64::MAX } else { until };
        sight.may_be_deaf_until = until;
    }

    /// Somebody who is not a host puts a key into a queue, and removes it some time later.
    fn add_foreign_key(&mut self) {
        let group = self.some_group();
        let there = |key: &LeaderKey| key.lease == LeaseId::NONE;
        if !self.store.queue(&group).iter().any(there) {
            let key = self.store.put(&group, LeaseId::NONE);
            self.log(|_| format!("a stranger stands in {group} under {}", key.fencing_token));
            let long = self.rng.u64(..16 * SECOND);
            self.after(long, SimulationEvent::Remove(key));
        }
    }

    /// Somebody removes a foreign key from a queue.
    pub(crate) fn remove(&mut self, key: &LeaderKey) {
        self.store.resign(key);
        self.answer_winners();
    }

    /// Removes all foreign keys: a store that goes back may bring some of them back.
    pub(crate) fn remove_strangers(&mut self) {
        for group in self.groups.clone() {
            let stranger = self.store.queue(&group).iter().find(|key| key.lease == LeaseId::NONE);
            if let Some(key) = stranger.cloned() {
                self.remove(&key);
            }
        }
    }

    /// Somebody deletes a key, or revokes its lease, by hand.
    fn delete_by_hand(&mut self) {
        let pick = self.rng.usize(..64);
        let Some(key) = self.store.some_key(pick) else {
            return;
        };
        self.log(|_| format!("somebody deletes {}", key.key));
        let gone = if self.rng.bool() {
            self.store.resign(&key);
            vec![key]
        } else {
            self.store.revoke(key.lease)
        };
        self.store.mark_removed(gone);
        self.mark_removed_keys();
        self.answer_winners();
    }

    /// Somebody sets the store's data back to an older state, or loses it.
    pub(crate) fn restore(&mut self) {
        let older = if self.rng.bool() { mem::take(&mut self.backup) } else { Default::default() };
        self.log(|simulation| {
            format!("the store goes from {} to {}", simulation.store.data.revision, older.revision)
        });
        self.checker.figures.restored += 1;
        let left = older.floor + older.revision;
        for host in self.hosts.iter_mut().filter(|host| host.highest_token() > left) {
            host.must_exceed = Some(host.highest_token()).max(host.must_exceed);
            host.under_way = host.seen.clone();
        }
        self.store.restore(older, self.timings.ttl, self.now);
        self.break_campaigns();
        self.mark_removed_keys();
        self.checker.restored(check_context(&self.hosts, &self.store, self.now));
        self.checker.runs.restored(&self.store.data);
        self.stuck_until = self.now + self.rng.u64(..2 * SECOND);
        self.watch_leases();
    }

    /// Somebody has noticed that the store went back, and its fencing tokens exceed `above` now.
    pub(crate) fn tokens_raised(&mut self, above: FencingToken) {
        self.log(|simulation| {
            format!(
                "the fencing tokens exceed {above}, the floor is {}",
                simulation.store.data.floor
            )
        });
        self.checker.figures.raised += 1;
        self.break_campaigns();
        self.mark_removed_keys();
        for term in self.hosts.iter_mut().flat_map(|host| host.terms.values_mut()) {
            term.outdated = true;
        }
        self.checker.raised(&self.groups, above);
        self.watch_leases();
    }

    fn mark_removed_keys(&mut self) {
        for term in self.hosts.iter_mut().flat_map(|host| host.terms.values_mut()) {
            term.robbed |= self.store.was_removed(&term.key);
        }
    }

    fn some_group(&mut self) -> Group {
        let pick = self.rng.usize(..self.groups.len());
        self.groups[pick].clone()
    }
}
