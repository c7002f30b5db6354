//! What the checker knows of the firings of a job: each begins once, whatever clocks show; they
//! go on where the leader's clock is right; and a clock that is known to be wrong claims none.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use soloist_heart::CandidacyStage;

use crate::{
    checker::Checker,
    clocks::ROUND,
    liveness::NEWS,
    promise::Promise,
    simulated_host::{GatePhase, SimulatedHost},
    simulated_store::StoreData,
    simulation::{MS, SECOND, World},
};

/// A clock that differs by more from what it was was set.
const STEP: TimeDelta = TimeDelta::seconds(2);
/// Beside a period: clocks are compared, what was missed is left alone, the ledger is opened.
const DELAYS: u64 = ROUND + 5 * SECOND;

/// The firings of a world's job.
#[derive(Default)]
pub(crate) struct Firings {
    begun: BTreeSet<DateTime<Utc>>,
    /// Since when a host of right time has led, that nothing keeps from claiming.
    led_rightly: u64,
    /// Under this token.
    token: i64,
    /// What failed since the last look, in what it costs.
    setbacks: u64,
}

impl Firings {
    /// The job goes on from a moment: what was claimed ahead of it without a gap may come again.
    pub(crate) fn anew(&mut self, from: DateTime<Utc>) {
        self.begun.retain(|at| *at <= from);
    }

    /// The store went back: what it does not know of any more may come again.
    pub(crate) fn restored(&mut self, data: &StoreData) {
        let claimed = data.book.as_ref().map(|book| &book.claimed);
        self.begun.retain(|at| claimed.is_some_and(|claimed| claimed.contains(at)));
    }
}

impl Checker {
    /// A host claims a firing.
    pub(crate) fn claims(&mut self, host: &SimulatedHost, firing: &str, now: u64) {
        let (ahead, truth) = (host.time.ahead, host.time.known.truth);
        let asked = truth.filter(|truth| (truth.ahead - ahead).abs() <= STEP);
        self.holds(asked.is_some(), Promise::WrongClocksRest, now, || {
            format!("{} claims {firing} by a clock that was not compared", host.name)
        });
        let wrong = asked.is_some_and(|truth| truth.wrong_since.is_some());
        self.holds(!wrong, Promise::WrongClocksRest, now, || {
            format!("{} claims {firing}, and knows that it is ahead by {ahead}", host.name)
        });
    }

    /// A firing begins.
    pub(crate) fn begins(&mut self, scheduled: DateTime<Utc>, host: &str, now: u64) {
        self.figures.firings += 1;
        let first = self.firings.begun.insert(scheduled);
        self.holds(first, Promise::FiredOnce, now, || {
            format!("{host} begins the firing of {scheduled}, which was begun before")
        });
    }
}

impl World {
    /// A keeper's call to the store failed.
    pub(crate) fn errand_failed(&mut self) {
        let cost = self.timings.request_timeout + self.timings.retry;
        self.checker.firings.setbacks += cost.as_nanos() as u64;
    }

    /// Looks whether the job goes on, and whether those keep off whose clocks are wrong.
    pub(crate) fn look_at_job(&mut self) {
        if self.job.is_none() {
            return;
        }
        for host in 0..self.hosts.len() {
            self.wrong_clocks_rest(host);
        }
        self.firings_go_on();
    }

    fn firings_go_on(&mut self) {
        let Some(job) = &self.job else { return };
        let (now, leader) = (self.now, self.leads_rightly());
        let firings = &mut self.checker.firings;
        let setbacks = std::mem::take(&mut firings.setbacks);
        let Some((token, since)) = leader else {
            firings.led_rightly = now;
            return;
        };
        if token != firings.token {
            (firings.token, firings.led_rightly) = (token, now);
        }
        firings.led_rightly = (firings.led_rightly.max(since) + setbacks).min(now);
        let bound = (job.period + job.config.jitter).as_nanos() as u64 + DELAYS;
        if now - firings.led_rightly <= bound {
            return;
        }
        let (from, to) = (self.true_wall(now - bound), self.true_wall(now));
        let claimed = self.store.data.book.as_ref().map(|book| &book.claimed);
        let goes_on = claimed.is_some_and(|claimed| claimed.range(from..=to).next().is_some());
        self.checker.holds(goes_on, Promise::FiringsGoOn, now, || {
            format!("no firing from {from} on was claimed, and a host of right time leads")
        });
    }

    /// The token of a leader of right time, and since when nothing keeps it from claiming.
    fn leads_rightly(&self) -> Option<(i64, u64)> {
        let (now, job) = (self.now, self.job.as_ref()?);
        let key = self.store.leader(&job.group)?;
        let number = self.store.owner(key.lease)?;
        let (host, touch) = (&self.hosts[number], self.liveness.hosts.get(number)?);
        let term = host.term(key).filter(|term| term.phase == GatePhase::Open)?;
        if host.is_frozen(now) || term.keeper.busy_until + LOOK > now || !self.right_prevail(host) {
            return None;
        }
        let since = touch.hears.max(self.liveness.store).max(host.time.set_at);
        host.time.is_right().then_some((key.token.0, since))
    }

    /// Whether clocks that are wrong are no majority, as a host sees who is there.
    fn right_prevail(&self, host: &SimulatedHost) -> bool {
        let members = host.sight.roster.iter().flat_map(|roster| &roster.members);
        let there = members.filter_map(|(_, it)| self.hosts.iter().find(|h| h.name == it.name));
        let (mut right, mut all) = (0, 0);
        for other in there {
            all += 1;
            right += usize::from(other.time.is_right() && other.time.set_at + 2 * ROUND < self.now);
        }
        2 * right >= all
    }

    /// A host that knows that its clock is wrong neither leads for long nor stands.
    fn wrong_clocks_rest(&mut self, number: usize) {
        let (now, host) = (self.now, &self.hosts[number]);
        let (Some(job), Some(touch)) = (&self.job, self.liveness.hosts.get(number)) else { return };
        let Some(heart) = host.heart.as_ref().filter(|_| !host.is_frozen(now)) else { return };
        let truth = host.time.known.truth.filter(|truth| truth.ahead == host.time.ahead);
        let Some(since) = truth.and_then(|truth| truth.wrong_since) else { return };
        let since = since.max(touch.hears).max(self.liveness.store).max(host.time.set_at);
        let stands = match heart.candidacies()[&job.group].stage() {
            CandidacyStage::Leading { since: began, .. } => {
                now - since.max(host.true_time(*began)) > NEWS + SECOND + touch.late
            }
            // A term has just ended, where it does so for a look or two.
            CandidacyStage::Campaigning => now - since > SECOND && touch.stands_wrongly > 2,
            _ => false,
        };
        let campaigns =
            matches!(heart.candidacies()[&job.group].stage(), CandidacyStage::Campaigning);
        let name = host.name;
        if let Some(touch) = self.liveness.hosts.get_mut(number) {
            touch.stands_wrongly = if campaigns { touch.stands_wrongly + 1 } else { 0 };
        }
        self.checker.holds(!stands, Promise::WrongClocksRest, now, || {
            format!("{name} leads or stands where time counts, and knows that its clock is wrong")
        });
    }
}

/// From one look to the next, and the time that a term takes to go on after a firing.
const LOOK: u64 = 500 * MS;
