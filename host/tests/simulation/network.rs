//! The way between hosts and store: requests and answers, late or lost.

use soloist::election::{Command, Event};

use crate::{
    store::{Caller, Waiting},
    world::{Happening, MS, SECOND, World},
};

/// A request under way to the store.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    from: Caller,
    request: Command,
    /// How long the answer will take; `None` if nobody will hear it.
    back: Option<u64>,
}

/// What a host hears when the answer to `request` does not come in time.
fn failure(request: &Command) -> Option<Event> {
    match request.clone() {
        Command::Grant { .. } => Some(Event::GrantFailed),
        Command::Renew { lease, .. } => Some(Event::RenewFailed { lease }),
        Command::Revoke { lease } => Some(Event::Released { lease }),
        Command::Campaign { group, attempt, .. } => Some(Event::CampaignFailed { group, attempt }),
        Command::Verify { key } => Some(Event::VerifyFailed { key }),
        Command::Resign { key } => Some(Event::ResignFailed { key }),
        _ => None,
    }
}

impl World {
    /// How long a message takes; `None` if it is lost.
    fn way(&mut self, host: usize) -> Option<u64> {
        if !self.faulty() {
            return Some(self.rng.u64(MS / 5..2 * MS));
        }
        let lost = self.now < self.hosts[host].cut_off_until || self.rng.u64(..1000) < self.loss;
        (!lost).then(|| self.rng.u64(MS / 5..self.latency * MS))
    }

    /// Sends a request on its way. Without an answer in time the host hears of
    /// a failure, though the request may still arrive.
    pub(crate) fn ask(&mut self, from: Caller, request: Command) {
        let patience = self.timings.request_timeout.as_nanos() as u64;
        let stuck = self.store_stuck_until.saturating_sub(self.now);
        let there = self.way(from.host);
        let waits = matches!(request, Command::Campaign { .. });
        let back = there.and_then(|there| {
            self.way(from.host).filter(|back| waits || there + stuck + back < patience)
        });
        if back.is_none()
            && let Some(event) = failure(&request)
        {
            self.after(patience, Happening::ToHost(from, event));
        }
        if let Some(there) = there {
            self.after(there + stuck, Happening::ToStore(Call { from, request, back }));
        }
    }

    /// The store takes a request in and answers it.
    pub(crate) fn serve(&mut self, call: Call) {
        let Call { from, request, back } = call;
        let answer = match request {
            Command::Grant { sent } => {
                let ttl = self.timings.ttl;
                Some(Event::Granted { lease: self.store.grant(ttl, self.now), ttl, sent })
            }
            Command::Renew { lease, sent } => {
                let ttl = self.timings.ttl;
                Some(if self.store.renew(lease, ttl, self.now) {
                    Event::Renewed { lease, ttl, sent }
                } else {
                    Event::LeaseGone { lease }
                })
            }
            Command::Revoke { lease } => {
                self.store.revoke(lease);
                Some(Event::Released { lease })
            }
            Command::Campaign { group, lease, attempt } => {
                let stands = self.store.stand(from, &group, lease, attempt);
                stands.is_none().then_some(Event::CampaignFailed { group, attempt })
            }
            Command::Withdraw { group, attempt } => {
                // Now and then the server does not get to the clean-up.
                let clean = self.rng.u8(..4) > 0;
                self.store.forget(from, &group, attempt, clean);
                None
            }
            Command::Verify { key } => {
                let holds = self.store.leader(&key.group) == Some(&key);
                Some(Event::Verified { key, holds })
            }
            Command::Resign { key } => {
                self.store.resign(&key);
                Some(Event::Resigned { key })
            }
            _ => None,
        };
        if let (Some(event), Some(back)) = (answer, back) {
            self.after(back, Happening::ToHost(from, event));
        }
        self.announce();
    }

    /// Answers the campaigns that are won by now.
    pub(crate) fn announce(&mut self) {
        for Waiting { caller, attempt, key } in self.store.winners() {
            let event = match self.way(caller.host) {
                Some(_) => Event::Won { attempt, key },
                None => Event::CampaignFailed { group: key.group, attempt },
            };
            let way = self.rng.u64(MS / 5..self.latency.max(2) * MS);
            self.after(way, Happening::ToHost(caller, event));
        }
    }

    /// The roster: each host sees which keys of its session stand, and which are gone.
    pub(crate) fn show(&mut self) {
        for host in 0..self.hosts.len() {
            let Some(way) = self.way(host) else { continue };
            let caller = self.caller(host);
            let Some((lease, _)) =
                self.hosts[host].heart.as_ref().and_then(|heart| heart.session().live())
            else {
                continue;
            };
            let standing: Vec<_> = self.store.keys_of(lease).cloned().collect();
            let terms = self.hosts[host].terms.values();
            let gone: Vec<_> =
                terms.filter(|t| !self.store.exists(&t.key)).map(|t| t.key.clone()).collect();
            let events = standing.into_iter().map(|key| Event::Standing { key });
            for event in events.chain(gone.into_iter().map(|key| Event::KeyGone { key })) {
                self.after(way, Happening::ToHost(caller, event));
            }
        }
        let pause = self.rng.u64(10 * MS..SECOND);
        self.after(pause, Happening::Show);
    }
}
