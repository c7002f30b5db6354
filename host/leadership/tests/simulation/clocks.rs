//! Wall clocks, right and wrong, and how hosts compare them.

use chrono::{DateTime, TimeDelta, Utc};
use soloist_heart::{
    LeaseId,
    clock::{ClockComparison, ClockReading, ClockTrust, ClockVerdict},
};
use soloist_leadership::HostView;
use soloist_leadership::LocalGroup;

use crate::{
    mutant::Mutant,
    simulated_host::SimulatedHost,
    simulated_store::HostLife,
    simulation::{MS, SECOND, Simulation},
    simulation_event::SimulationEvent,
};

/// The interval between two comparisons, unless there is a reason for an earlier one.
pub(crate) const ROUND: u64 = 10 * SECOND;
/// How long another host may take to report its clock.
const QUESTION: u64 = SECOND;
/// The interval between two checks whether a group could be led here.
const READINESS: u64 = 500 * MS;
/// A clock that is off by no more than this is right.
pub(crate) const RIGHT: TimeDelta = TimeDelta::milliseconds(200);
/// A clock that is off by more than this is certainly wrong: a minute, plus the largest error of a
/// reading.
const WRONG: TimeDelta = TimeDelta::seconds(62);

/// A host's wall clock, and what its process knows about it.
#[derive(Default)]
pub(crate) struct SimulatedWallClock {
    /// How far it is ahead of the true time.
    pub(crate) ahead: TimeDelta,
    /// When it was set.
    pub(crate) set_at: u64,
    pub(crate) known: ClockKnowledge,
}

/// The part that is lost with the process.
#[derive(Default)]
pub(crate) struct ClockKnowledge {
    pub(crate) compared: Option<ClockComparison>,
    /// The hosts that were asked last.
    asked: Option<Vec<LeaseId>>,
    /// When it compares next; `None` while it is comparing.
    compares_at: Option<u64>,
    comparing: bool,
    /// The truth about the latest comparison, for the checker.
    pub(crate) truth: Option<ClockTruth>,
}

/// The truth about a comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockTruth {
    /// How far the host's clock was ahead of the true time.
    pub(crate) ahead: TimeDelta,
    /// Since when a majority of right clocks has said that it is wrong, if one has.
    pub(crate) wrong_since: Option<u64>,
}

/// The result of asking the other hosts.
#[derive(Clone, Debug)]
pub(crate) struct ClockAnswers {
    comparison: ClockComparison,
    truth: ClockTruth,
}

impl SimulatedWallClock {
    /// A clock that is ahead by this much.
    pub(crate) fn new(ahead: TimeDelta) -> Self {
        Self { ahead, ..Self::default() }
    }

    pub(crate) fn is_right(&self) -> bool {
        self.ahead.abs() <= RIGHT
    }
}

impl Simulation {
    /// What a right clock shows.
    pub(crate) fn true_wall(&self, at: u64) -> DateTime<Utc> {
        self.epoch + TimeDelta::nanoseconds(at as i64)
    }

    /// What the clock of a host shows.
    pub(crate) fn wall(&self, host: usize) -> DateTime<Utc> {
        self.true_wall(self.now) + self.hosts[host].time.ahead
    }

    /// Whether a host's jobs may rely on its clock.
    pub(crate) fn clock_trust(&self, host: usize) -> ClockTrust {
        let (wall, host) = (self.wall(host), &self.hosts[host]);
        ClockTrust::of(host.time.known.compared.as_ref(), wall, host.clock(self.now))
    }

    /// A random error of a clock.
    pub(crate) fn some_error(&mut self) -> TimeDelta {
        let sign = if self.rng.bool() { 1 } else { -1 };
        let ms = match self.rng.u8(..8) {
            0..3 => self.rng.i64(0..100),
            3..5 => self.rng.i64(1_100..50_000),
            5..7 => self.rng.i64(63_000..20 * 3_600_000),
            _ => self.rng.i64(23 * 3_600_000..50 * 3_600_000),
        };
        TimeDelta::milliseconds(sign * ms)
    }

    /// Somebody sets the clock of a host, which notices that within a second.
    pub(crate) fn set_clock(&mut self, host: usize, ahead: TimeDelta) {
        self.log(|simulation| {
            format!("the clock of {} is ahead by {ahead}", simulation.hosts[host].name)
        });
        let time = &mut self.hosts[host].time;
        (time.ahead, time.set_at) = (ahead, self.now);
        let notices = self.rng.u64(..SECOND);
        self.after(notices, SimulationEvent::ClockSet(self.caller(host)));
    }

    /// A host notices that its clock was set. If it is comparing clocks, it notices at the end of
    /// that.
    pub(crate) fn clock_set(&mut self, caller: HostLife) {
        if !self.hosts[caller.host].time.known.comparing {
            self.compare_after(caller, 0);
        }
        self.run_job(caller);
    }

    /// Compares again if other hosts are there than at the last comparison.
    pub(crate) fn compare_if_changed(&mut self, caller: HostLife) {
        let host = &self.hosts[caller.host];
        let others = others(host).map(|(lease, _)| lease);
        if !host.time.known.comparing
            && host.time.known.asked.as_ref().is_none_or(|asked| !others.eq(asked.iter().copied()))
        {
            self.compare_after(caller, 0);
        }
    }

    fn compare_after(&mut self, caller: HostLife, pause: u64) {
        let at = self.now + pause;
        self.hosts[caller.host].time.known.compares_at = Some(at);
        self.at(at, SimulationEvent::Compare(caller, at));
    }

    /// A host asks the others what their clocks show.
    pub(crate) fn compare_clocks(&mut self, caller: HostLife, set: u64) {
        let (own, host) = (self.wall(caller.host), &mut self.hosts[caller.host]);
        let known = &mut host.time.known;
        if known.compares_at.take_if(|at| *at == set).is_none() {
            return;
        }
        known.comparing = true;
        let (boot, ahead) = (host.clock(self.now), host.time.ahead);
        let others: Vec<_> = others(host).map(|(lease, name)| (lease, name.to_owned())).collect();
        self.hosts[caller.host].time.known.asked =
            Some(others.iter().map(|(lease, _)| *lease).collect());
        let (mut readings, mut right, mut takes) = (Vec::new(), 0, 0);
        for (_, name) in &others {
            let took = self.question(name);
            takes = takes.max(took.unwrap_or(QUESTION));
            let Some(took) = took else { continue };
            let asked = self.hosts.iter().position(|host| host.name == *name).unwrap_or_default();
            let shown = self.wall(asked) + TimeDelta::nanoseconds(took as i64 / 2);
            right += usize::from(self.hosts[asked].time.is_right());
            let took = std::time::Duration::from_nanos(took);
            readings.extend(ClockReading::of(name.clone(), shown, own, took));
        }
        let hosts = others.len() + 1;
        let verdict = match self.mutant {
            Mutant::TrustsItsClock => ClockVerdict::Right,
            _ => ClockVerdict::of(&readings, hosts),
        };
        let wrong = ahead.abs() > WRONG && 2 * right > hosts;
        let truth = ClockTruth { ahead, wrong_since: wrong.then_some(self.now) };
        let comparison = ClockComparison::new(verdict, own, boot);
        self.after(
            takes,
            SimulationEvent::Compared(caller, Box::new(ClockAnswers { comparison, truth })),
        );
    }

    /// How long a host takes to answer; `None` if it does not answer in time.
    fn question(&mut self, name: &str) -> Option<u64> {
        let host = self.hosts.iter().find(|host| host.name == name)?;
        let there = host.heart.is_some() && !host.is_frozen(self.now);
        let (loss, latency) = if self.faulty() { (self.loss, self.latency) } else { (0, 2) };
        let lost = self.rng.u64(..1000) < loss;
        let took = self.rng.u64(MS / 5..latency * 2 * MS);
        (there && !lost && took < QUESTION).then_some(took)
    }

    /// The other hosts have answered.
    pub(crate) fn compared(&mut self, caller: HostLife, asked: ClockAnswers) {
        let ClockAnswers { mut comparison, mut truth } = asked;
        let (wall, host) = (self.wall(caller.host), &mut self.hosts[caller.host]);
        let boot = host.clock(self.now);
        if self.mutant == Mutant::StampsLate {
            comparison = ClockComparison::new(comparison.verdict().clone(), wall, boot);
        }
        let holds = comparison.holds(wall, boot);
        let known = &mut host.time.known;
        let before = known.truth.and_then(|truth| truth.wrong_since);
        truth.wrong_since = truth.wrong_since.map(|_| before.unwrap_or(self.now));
        (known.comparing, known.truth) = (false, Some(truth));
        known.compared = Some(comparison);
        self.compare_after(caller, if holds { ROUND } else { 0 });
        self.run_job(caller);
    }

    // ---- readiness

    /// A host checks whether it could lead the group with the job, and tells its heart.
    pub(crate) fn check_readiness(&mut self, caller: HostLife) {
        let Some(job) = &self.job else { return };
        let refusal = self.clock_trust(caller.host).wrong_clock().map(ToString::to_string);
        let clock = refusal.filter(|_| self.mutant != Mutant::ClingsOn);
        let host = &mut self.hosts[caller.host];
        let Some(heart) = &host.heart else { return };
        let view = HostView::of(heart, None);
        let obstacle = (self.now < host.obstructed_until).then(|| "its port is taken".to_owned());
        let here = LocalGroup::of(&job.group, &view, host.sight.roster.as_deref());
        let event = host.findings.next_event(here, clock, |_| Some(obstacle.map_or(Ok(()), Err)));
        if let Some(event) = event {
            self.feed(caller, event);
        }
        self.after(READINESS, SimulationEvent::Readiness(caller));
    }
}

/// The other members, as this host sees them.
fn others(host: &SimulatedHost) -> impl Iterator<Item = (LeaseId, &str)> {
    let members = host.sight.roster.iter().flat_map(|roster| &roster.members);
    let others = members.map(|(lease, member)| (*lease, &*member.name));
    others.filter(|(_, name)| *name != host.name)
}
