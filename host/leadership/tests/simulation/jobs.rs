//! A job under a term, using the decision logic of the real keeper and ledger.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, Utc};
use soloist_config::{CatchUpPolicy, JobConfig, OverlapPolicy, Schedule};
use soloist_heart::{Group, HeartEvent, LeaderKey};
use soloist_jobs::{ClaimedSpans, JobMark, JobPlanner, JobRun, JobStep};

use crate::{
    mutant::Mutant,
    simulated_host::GatePhase,
    simulated_store::HostLife,
    simulation::{MS, SECOND, Simulation},
    simulation_event::SimulationEvent,
    store_request::StoreRequest,
};

const JOB: &str = "report";
/// The longest wait before a job checks again.
const LOOK: u64 = 60 * SECOND;
/// How many runs are recorded.
const RECORDS: usize = 50;

/// The only job of a simulation.
pub(crate) struct SimulatedJob {
    pub(crate) group: Group,
    pub(crate) config: JobConfig,
    /// The time between two runs.
    pub(crate) period: Duration,
    /// Whether most runs take much longer than that, or only a few.
    slow: bool,
}

impl SimulatedJob {
    /// A job that fires between once a second and once an hour.
    pub(crate) fn new(group: Group, rng: &mut fastrand::Rng) -> Self {
        let period = Duration::from_secs([1, 2, 5, 20, 3600][rng.usize(..5)]);
        // With an hourly job, even a clock that is days ahead has few runs to catch up with.
        let all = period.as_secs() == 3600 && rng.bool();
        let config = JobConfig {
            schedule: Schedule::Every(period),
            jitter: [Duration::ZERO, Duration::from_millis(700)][rng.usize(..2)],
            catch_up: if all {
                CatchUpPolicy::All
            } else {
                [CatchUpPolicy::Skip, CatchUpPolicy::Latest][rng.usize(..2)]
            },
            overlap: OverlapPolicy::Forbid,
            run_timeout: Duration::from_secs(60),
            max_attempts: 1,
        };
        Self { group, config, period, slow: rng.bool() }
    }
}

/// The job's records in the store.
#[derive(Clone, Debug)]
pub(crate) struct JobLedger {
    mark: JobMark,
    /// The ids of the latest runs.
    begun: Vec<String>,
    /// The scheduled times of all runs that were ever claimed; for the checker only.
    pub(crate) claimed: BTreeSet<DateTime<Utc>>,
}

/// The state of the job under a term.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobKeeper {
    course: Option<JobPlanner>,
    /// Whether it waits for the store.
    asks: bool,
    /// When its timer expires.
    wakes_at: Option<u64>,
    pub(crate) busy_until: u64,
}

/// A job's call to the store, which is repeated until it is answered.
#[derive(Clone, Debug)]
pub(crate) struct LedgerCall {
    pub(crate) key: LeaderKey,
    /// The host's clock when the call was first made.
    now: DateTime<Utc>,
    what: LedgerOperation,
    /// How often the store had gone back by then.
    era: u64,
}

#[derive(Clone, Debug)]
enum LedgerOperation {
    Open { reset: bool },
    Claim { by: Box<JobMark>, new: Box<JobMark>, run: JobRun },
}

/// The store's answer.
#[derive(Clone, Debug)]
pub(crate) enum LedgerAnswer {
    Opened(JobMark, Vec<String>),
    Claimed,
    /// The mark in the ledger is another one.
    Moved,
    /// The leader's key is gone.
    Fenced,
    /// No answer.
    Unknown,
}

impl Simulation {
    /// The job of a term begins.
    pub(crate) fn begin_job(&mut self, caller: HostLife, key: &LeaderKey) {
        if self.job.as_ref().is_some_and(|job| job.group == key.group) {
            self.open_ledger(caller, key.clone(), false);
        }
    }

    fn open_ledger(&mut self, caller: HostLife, key: LeaderKey, reset: bool) {
        let (now, era) = (self.wall(caller.host), self.checker.figures.restored);
        self.send(caller, LedgerCall { key, now, what: LedgerOperation::Open { reset }, era });
    }

    /// Calls the store, if the term continues.
    pub(crate) fn send(&mut self, caller: HostLife, ledger_call: LedgerCall) {
        let (host, now) = (&mut self.hosts[caller.host], self.now);
        let clock = host.clock(now);
        let term =
            host.terms.get_mut(&ledger_call.key.group).filter(|term| term.key == ledger_call.key);
        let Some(term) = term.filter(|term| term.passes(clock)) else { return };
        term.job_keeper.asks = true;
        self.ask(caller, StoreRequest::Job(Box::new(ledger_call)));
    }

    /// The store reads or writes the ledger.
    pub(crate) fn serve_ledger(&mut self, ledger_call: &LedgerCall) -> LedgerAnswer {
        let there = self.store.exists(&ledger_call.key);
        let (job, ledger) = (self.job.as_ref(), self.store.data.ledger.as_mut());
        let schedule = job.map(|job| job.config.schedule.to_string()).unwrap_or_default();
        match (&ledger_call.what, ledger) {
            (LedgerOperation::Open { reset: false }, Some(ledger)) => {
                return LedgerAnswer::Opened(ledger.mark.clone(), ledger.begun.clone());
            }
            _ if !there => return LedgerAnswer::Fenced,
            (LedgerOperation::Open { .. }, Some(ledger)) => {
                ledger.mark = ledger.mark.from_now(ledger_call.now, &schedule, true);
                self.checker.runs.reset(ledger_call.now);
            }
            (LedgerOperation::Open { .. }, None) => {
                let (mark, begun) = (JobMark::new(ledger_call.now, &schedule, 0), Vec::new());
                self.store.data.ledger = Some(JobLedger { mark, begun, claimed: BTreeSet::new() });
            }
            (LedgerOperation::Claim { by, new, run }, Some(ledger))
                if by.is_unchanged_in(&ledger.mark) =>
            {
                ledger.mark = JobMark::clone(new);
                ledger.begun.push(run.id.clone());
                ledger.claimed.insert(run.scheduled);
                if ledger.begun.len() > RECORDS {
                    ledger.begun.remove(0);
                }
            }
            (LedgerOperation::Claim { new, .. }, Some(ledger)) if ledger.mark == **new => {
                return LedgerAnswer::Claimed;
            }
            (LedgerOperation::Claim { .. }, _) => return LedgerAnswer::Moved,
        }
        self.store.data.revision += 1;
        match (&ledger_call.what, &self.store.data.ledger) {
            (LedgerOperation::Open { .. }, Some(ledger)) => {
                LedgerAnswer::Opened(ledger.mark.clone(), ledger.begun.clone())
            }
            _ => LedgerAnswer::Claimed,
        }
    }

    /// A job gets an answer from the store.
    pub(crate) fn ledger_answered(
        &mut self,
        caller: HostLife,
        ledger_call: LedgerCall,
        answer: LedgerAnswer,
    ) {
        let (now, host) = (self.now, &mut self.hosts[caller.host]);
        let clock = host.clock(now);
        let key = &ledger_call.key;
        let term = host.terms.get_mut(&key.group).filter(|term| term.key == *key);
        let Some(term) = term.filter(|term| term.passes(clock)) else { return };
        term.job_keeper.asks = false;
        match (answer, &ledger_call.what) {
            (LedgerAnswer::Unknown, _) => {
                term.job_keeper.asks = true;
                let pause = self.timings.retry.as_nanos() as u64;
                return self
                    .after(pause, SimulationEvent::LedgerCall(caller, Box::new(ledger_call)));
            }
            (LedgerAnswer::Fenced, _) => {
                return self.feed(caller, HeartEvent::KeyGone { key: ledger_call.key });
            }
            (LedgerAnswer::Moved, _) => return self.open_ledger(caller, ledger_call.key, false),
            (LedgerAnswer::Opened(mark, mut begun), _) => {
                if self.mutant == Mutant::ForgetsClaims {
                    begun.clear();
                }
                match &mut term.job_keeper.course {
                    Some(course) => course.reopened(mark, begun),
                    course => *course = Some(JobPlanner::new(JOB.into(), mark, begun)),
                }
            }
            (LedgerAnswer::Claimed, LedgerOperation::Claim { new, run, .. }) => {
                if let Some(course) = &mut term.job_keeper.course {
                    course.claimed(JobMark::clone(new));
                }
                let (key, run) = (ledger_call.key.clone(), run.clone());
                self.begin_run(caller, key, &run, ledger_call.era);
            }
            (LedgerAnswer::Claimed, LedgerOperation::Open { .. }) => {}
        }
        self.run_job(caller);
    }

    fn begin_run(&mut self, caller: HostLife, key: LeaderKey, run: &JobRun, era: u64) {
        self.log(|simulation| format!("{} begins {}", simulation.hosts[caller.host].name, run.id));
        if era == self.checker.figures.restored {
            let name = self.hosts[caller.host].name;
            self.checker.begins(run.scheduled, name, self.now);
        }
        let Some(SimulatedJob { period, slow, .. }) = &self.job else { return };
        let outlasts = (3 * period.as_nanos() as u64).min(10 * SECOND);
        let longest = if *slow || self.rng.u8(..8) == 0 { outlasts } else { 300 * MS };
        let until = self.now + self.rng.u64(..longest);
        if let Some(term) = self.hosts[caller.host].terms.get_mut(&key.group) {
            term.job_keeper.busy_until = until;
        }
        self.at(until, SimulationEvent::JobTimer(caller, key, None));
    }

    /// The timer that was set for this moment expires, or a run has ended.
    pub(crate) fn job_timer_expired(
        &mut self,
        caller: HostLife,
        key: &LeaderKey,
        set: Option<u64>,
    ) {
        let term = self.hosts[caller.host].terms.get_mut(&key.group);
        let Some(term) = term.filter(|term| term.key == *key) else { return };
        if set.is_none() || term.job_keeper.wakes_at.take_if(|at| Some(*at) == set).is_some() {
            self.run_job(caller);
        }
    }

    /// A job does what is due.
    pub(crate) fn run_job(&mut self, caller: HostLife) {
        let Some(job) = &self.job else { return };
        let (now, wall, leave) = (self.now, self.wall(caller.host), self.clock_trust(caller.host));
        let host = &mut self.hosts[caller.host];
        let clock = host.clock(now);
        let Some(term) = host.terms.get_mut(&job.group) else { return };
        let leaving = term.phase > GatePhase::Open || !term.passes(clock);
        let JobKeeper { course: Some(course), asks: false, wakes_at, busy_until } =
            &mut term.job_keeper
        else {
            return;
        };
        if leaving {
            return;
        }
        let act = loop {
            match course.next(&job.config, &leave, wall, now < *busy_until) {
                JobStep::Missed(..) => {}
                act => break act,
            }
        };
        let key = term.key.clone();
        match act {
            JobStep::Wait(None) | JobStep::Missed(..) => *wakes_at = None,
            JobStep::Wait(Some(until)) => {
                let pause = (until - wall).num_nanoseconds().unwrap_or(i64::MAX).max(0) as u64;
                let at = now + pause.min(LOOK);
                *wakes_at = Some(at);
                self.at(at, SimulationEvent::JobTimer(caller, key, Some(at)));
            }
            JobStep::ReopenLedger => self.open_ledger(caller, key, true),
            JobStep::Claim(run) => {
                let by = course.mark().clone();
                let new = self.mutant.claims(by.after_claim(&run, key.fencing_token.0, wall));
                self.checker.claims(&self.hosts[caller.host], &run.id, now);
                let era = self.checker.figures.restored;
                let what = LedgerOperation::Claim { by: by.into(), new: new.into(), run };
                self.send(caller, LedgerCall { key, now: wall, what, era });
            }
        }
    }
}

impl Mutant {
    /// The mark that a claim writes, as this mutant's hosts do it.
    fn claims(self, new: JobMark) -> JobMark {
        match self {
            Self::ForgetsClaims => JobMark { claimed: ClaimedSpans::default(), ..new },
            Self::HighWater => {
                JobMark { claimed: ClaimedSpans::all(DateTime::UNIX_EPOCH, new.settled), ..new }
            }
            _ => new,
        }
    }
}
