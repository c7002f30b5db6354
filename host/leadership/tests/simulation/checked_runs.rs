//! What the checker knows of a job's runs. Each run begins once, whatever the clocks show;
//! runs continue while the leader's clock is right; and a host claims none if its clock is known
//! to be wrong.

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
    simulation::{MS, SECOND, Simulation},
};

/// A clock that has changed by more than this was set.
const STEP: TimeDelta = TimeDelta::seconds(2);
/// How late a run may be in addition to the period: clocks are compared, missed runs are
/// skipped, the ledger is opened.
const DELAYS: u64 = ROUND + 5 * SECOND;

/// The runs of the simulated job.
#[derive(Default)]
pub(crate) struct CheckedRuns {
    begun: BTreeSet<DateTime<Utc>>,
    /// Since when a host with a right clock has led and nothing has kept it from claiming.
    led_rightly: u64,
    /// The fencing token of that leader.
    fencing_token: i64,
    /// The delays caused by failures since the last check, in nanoseconds.
    setbacks: u64,
}

impl CheckedRuns {
    /// The job restarts from a certain moment: later runs that were claimed ahead of it may come
    /// again.
    pub(crate) fn reset(&mut self, from: DateTime<Utc>) {
        self.begun.retain(|at| *at <= from);
    }

    /// The store went back: runs that it no longer knows of may come again.
    pub(crate) fn restored(&mut self, data: &StoreData) {
        let claimed = data.ledger.as_ref().map(|ledger| &ledger.claimed);
        self.begun.retain(|at| claimed.is_some_and(|claimed| claimed.contains(at)));
    }
}

impl Checker {
    /// A host claims a run.
    pub(crate) fn claims(&mut self, host: &SimulatedHost, run: &str, now: u64) {
        let (ahead, truth) = (host.time.ahead, host.time.known.truth);
        let asked = truth.filter(|truth| (truth.ahead - ahead).abs() <= STEP);
        self.holds(asked.is_some(), Promise::WrongClocksRest, now, || {
            format!("{} claims {run} by a clock that was not compared", host.name)
        });
        let wrong = asked.is_some_and(|truth| truth.wrong_since.is_some());
        self.holds(!wrong, Promise::WrongClocksRest, now, || {
            format!("{} claims {run}, and knows that it is ahead by {ahead}", host.name)
        });
    }

    /// A run begins.
    pub(crate) fn begins(&mut self, scheduled: DateTime<Utc>, host: &str, now: u64) {
        self.figures.runs += 1;
        let first = self.runs.begun.insert(scheduled);
        self.holds(first, Promise::FiredOnce, now, || {
            format!("{host} begins the run of {scheduled}, which was begun before")
        });
    }
}

impl Simulation {
    /// A job's call to the store has failed.
    pub(crate) fn ledger_call_failed(&mut self) {
        let cost = self.timings.request_timeout + self.timings.retry;
        self.checker.runs.setbacks += cost.as_nanos() as u64;
    }

    /// Checks that the job continues, and that hosts with wrong clocks do not take part.
    pub(crate) fn check_job(&mut self) {
        if self.job.is_none() {
            return;
        }
        for host in 0..self.hosts.len() {
            self.wrong_clocks_rest(host);
        }
        self.runs_continue();
    }

    fn runs_continue(&mut self) {
        let Some(job) = &self.job else { return };
        let (now, leader) = (self.now, self.leads_rightly());
        let runs = &mut self.checker.runs;
        let setbacks = std::mem::take(&mut runs.setbacks);
        let Some((fencing_token, since)) = leader else {
            runs.led_rightly = now;
            return;
        };
        if fencing_token != runs.fencing_token {
            (runs.fencing_token, runs.led_rightly) = (fencing_token, now);
        }
        runs.led_rightly = (runs.led_rightly.max(since) + setbacks).min(now);
        let bound = (job.period + job.config.jitter).as_nanos() as u64 + DELAYS;
        if now - runs.led_rightly <= bound {
            return;
        }
        let (from, to) = (self.true_wall(now - bound), self.true_wall(now));
        let claimed = self.store.data.ledger.as_ref().map(|ledger| &ledger.claimed);
        let goes_on = claimed.is_some_and(|claimed| claimed.range(from..=to).next().is_some());
        self.checker.holds(goes_on, Promise::RunsContinue, now, || {
            format!("no run from {from} on was claimed, and a host of right time leads")
        });
    }

    /// The fencing token of a leader whose clock is right, and since when nothing keeps it from
    /// claiming.
    fn leads_rightly(&self) -> Option<(i64, u64)> {
        let (now, job) = (self.now, self.job.as_ref()?);
        let key = self.store.leader(&job.group)?;
        let number = self.store.owner(key.lease)?;
        let (host, host_state) = (&self.hosts[number], self.liveness.hosts.get(number)?);
        let term = host.term(key).filter(|term| term.phase == GatePhase::Open)?;
        if host.is_frozen(now)
            || term.job_keeper.busy_until + LOOK > now
            || !self.most_clocks_right(host)
        {
            return None;
        }
        let since = host_state.hears.max(self.liveness.store).max(host.time.set_at);
        host.time.is_right().then_some((key.fencing_token.0, since))
    }

    /// Whether wrong clocks are not in the majority among the members that a host sees.
    fn most_clocks_right(&self, host: &SimulatedHost) -> bool {
        let members = host.sight.roster.iter().flat_map(|roster| &roster.members);
        let there = members.filter_map(|(_, it)| self.hosts.iter().find(|h| h.name == it.name));
        let (mut right, mut all) = (0, 0);
        for other in there {
            all += 1;
            right += usize::from(other.time.is_right() && other.time.set_at + 2 * ROUND < self.now);
        }
        2 * right >= all
    }

    /// A host that knows that its clock is wrong neither stands, nor leads for long.
    fn wrong_clocks_rest(&mut self, number: usize) {
        let (now, host) = (self.now, &self.hosts[number]);
        let (Some(job), Some(host_state)) = (&self.job, self.liveness.hosts.get(number)) else {
            return;
        };
        let Some(heart) = host.heart.as_ref().filter(|_| !host.is_frozen(now)) else { return };
        let truth = host.time.known.truth.filter(|truth| truth.ahead == host.time.ahead);
        let Some(since) = truth.and_then(|truth| truth.wrong_since) else { return };
        let since = since.max(host_state.hears).max(self.liveness.store).max(host.time.set_at);
        let stands = match heart.candidacies()[&job.group].stage() {
            CandidacyStage::Leading { since: began, .. } => {
                now - since.max(host.true_time(*began)) > NEWS + SECOND + host_state.late
            }
            // If a term has just ended, the host may stand for one or two checks.
            CandidacyStage::Campaigning => now - since > SECOND && host_state.stands_wrongly > 2,
            _ => false,
        };
        let campaigns =
            matches!(heart.candidacies()[&job.group].stage(), CandidacyStage::Campaigning);
        let name = host.name;
        if let Some(host_state) = self.liveness.hosts.get_mut(number) {
            host_state.stands_wrongly = if campaigns { host_state.stands_wrongly + 1 } else { 0 };
        }
        self.checker.holds(!stands, Promise::WrongClocksRest, now, || {
            format!("{name} leads or stands where time counts, and knows that its clock is wrong")
        });
    }
}

/// The interval between two checks, plus the time that a term takes to continue after a run.
const LOOK: u64 = 500 * MS;
