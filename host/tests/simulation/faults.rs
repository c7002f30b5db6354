//! What goes wrong.

use soloist::election::Event;

use crate::world::{Happening, MS, SECOND, World};

impl World {
    /// One fault, and the next one's moment.
    pub(crate) fn fault(&mut self) {
        if !self.faulty() {
            return;
        }
        let host = self.rng.usize(..self.hosts.len());
        let long = self.rng.u64(10 * MS..3 * self.timings.ttl.as_nanos() as u64);
        match self.rng.u8(..10) {
            0..3 => self.freeze(host, long),
            3..5 => self.hosts[host].cut_off_until = self.now + long,
            5 => self.crash(host),
            6 => self.store_stuck_until = self.now + long / 4,
            7 => self.obstruct(host),
            8 => self.ask_something(host),
            _ => self.careless_hand(),
        }
        let pause = self.rng.u64(..4 * SECOND);
        self.after(pause, Happening::Fault);
    }

    /// The process stands still, as under SIGSTOP; its clock does not.
    fn freeze(&mut self, host: usize, long: u64) {
        self.tell(|world| format!("{} freezes for {} ms", world.hosts[host].name, long / MS));
        let host = &mut self.hosts[host];
        host.frozen_until = host.frozen_until.max(self.now + long);
        host.last_woke = host.frozen_until;
    }

    fn crash(&mut self, host: usize) {
        self.tell(|world| format!("{} crashes", world.hosts[host].name));
        if self.hosts[host].heart.is_some() {
            self.hosts[host].crash();
            let pause = self.rng.u64(10 * MS..8 * SECOND);
            self.after(pause, Happening::Boot(host));
        }
    }

    /// The host cannot run a group's actions for a while.
    fn obstruct(&mut self, host: usize) {
        let (caller, group) = (self.caller(host), self.some_group());
        let reason = "its port is taken".to_owned();
        let pause = self.rng.u64(..5 * SECOND);
        self.after(0, Happening::ToHost(caller, Event::NotReady { group: group.clone(), reason }));
        self.after(pause, Happening::ToHost(caller, Event::Ready { group }));
    }

    /// Somebody stops the host, or an action of it fails.
    fn ask_something(&mut self, host: usize) {
        let caller = self.caller(host);
        let group = self.some_group();
        let event = match self.hosts[host].terms.get(&group) {
            Some(term) if self.rng.bool() => Event::ActionFailed {
                key: term.key.clone(),
                action: "web".into(),
                reason: "it trapped".into(),
            },
            _ => Event::Shutdown,
        };
        self.after(0, Happening::ToHost(caller, event));
    }

    /// Somebody deletes a key, or revokes its lease, by hand.
    fn careless_hand(&mut self) {
        let pick = self.rng.usize(..64);
        let Some(key) = self.store.some_key(pick) else {
            return;
        };
        self.tell(|_| format!("somebody deletes {}", key.key));
        if self.rng.bool() {
            self.store.resign(&key);
        } else {
            self.store.revoke(key.lease);
        }
        for host in &mut self.hosts {
            for term in host.terms.values_mut() {
                term.robbed |= !self.store.exists(&term.key);
            }
        }
        self.announce();
    }

    fn some_group(&mut self) -> soloist::election::Group {
        let pick = self.rng.usize(..self.groups.len());
        self.groups[pick].clone()
    }
}
