//! The settings of a job: when it fires, and what happens to runs that cannot start in time.

use std::time::Duration;

use super::{
    choice::{Choice, choice},
    problem::Problem,
    resolver::{Resolver, Setting},
    schedule::{self, Schedule},
    settings_file::{ActionTable, LocatedText},
};

const ZONE: &str = "UTC";
const JITTER: Duration = Duration::ZERO;
const MISSED: &str = "skip";
const CONCURRENCY: &str = "forbid";
const TIMEOUT: Duration = Duration::from_secs(3600);
const RETRIES: usize = 0;

/// When and how a job runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobConfig {
    /// When it fires.
    pub schedule: Schedule,
    /// The greatest random delay of each run.
    pub jitter: Duration,
    /// What happens to runs that could not start in time.
    pub missed: MissedPolicy,
    /// What happens to a run while an earlier one is still running.
    pub concurrency: ConcurrencyPolicy,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How many more attempts a failed run gets.
    pub retries: usize,
}

/// What happens to runs that could not start in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissedPolicy {
    /// They are dropped.
    Skip,
    /// Only the latest of them is run.
    Once,
    /// Each is run, in order.
    All,
}

choice! {
    MissedPolicy { Skip = "skip", Once = "once", All = "all" },
    "is nothing that is done about missed runs",
    "write \"skip\" (they are dropped), \"once\" (the latest is run) or \"all\" (each is run)"
}

/// What happens to a run while an earlier one is still running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConcurrencyPolicy {
    /// It waits, and so may be missed.
    Forbid,
    /// It runs in parallel.
    Allow,
    /// It cancels the earlier one.
    Replace,
}

choice! {
    ConcurrencyPolicy { Forbid = "forbid", Allow = "allow", Replace = "replace" },
    "is no way for runs to meet",
    "write \"forbid\" (one at a time), \"allow\" (side by side) or \"replace\" (the later ends the earlier)"
}

/// The job of `table`, if it is one; `None` after reporting what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<Option<JobConfig>> {
    let Some(schedule) = &table.schedule else {
        let texts =
            [("zone", &table.zone), ("missed", &table.missed), ("concurrency", &table.concurrency)];
        let places: Vec<_> = texts
            .map(|(key, text)| (key, text.as_ref().map(|text| resolver.place(text))))
            .into_iter()
            .chain([
                ("jitter", resolver.place_of(table.jitter.as_ref())),
                ("retries", resolver.place_of(table.retries.as_ref())),
            ])
            .filter(|(_, place)| place.is_some())
            .collect();
        let misplaced = !places.is_empty();
        for (key, place) in places {
            let what = format!("`{key}` says something of a job, and this is none");
            let mend = "add `schedule`, as in `schedule = \"0 3 * * *\"` or `schedule = \"none\"`";
            resolver.report(Problem::new(what, mend).at(place));
        }
        return (!misplaced).then_some(None);
    };
    restarts(resolver, table);
    let zone = resolver.written(table.zone.clone(), ZONE);
    let zone = resolver.read(&zone, schedule::zone);
    let schedule = resolver.written(Some(schedule.clone()), "");
    let schedule = resolver.read(&schedule, |text| Schedule::parse(text, zone.unwrap_or_default()));
    if let Some(schedule) = &schedule {
        pointless(resolver, table, schedule);
    }
    let jitter = resolver.bounded(table.jitter.as_ref(), JITTER);
    let concurrency = resolver.written(table.concurrency.clone(), CONCURRENCY);
    let concurrency = resolver.read(&concurrency, ConcurrencyPolicy::parse);
    let missed = resolver.written(table.missed.clone(), MISSED);
    let missed = read_missed(resolver, &missed, concurrency);
    let timeout = resolver.bounded(table.timeout.as_ref(), TIMEOUT);
    let retries = resolver.bounded(table.retries.as_ref(), RETRIES);
    zone?;
    Some(Some(JobConfig {
        schedule: schedule?,
        jitter: jitter?,
        missed: missed?,
        concurrency: concurrency?,
        timeout: timeout?,
        retries: retries?,
    }))
}

/// Rejects service-only restart settings: a job that ended has done its work, and only its
/// schedule starts it again.
fn restarts(resolver: &mut Resolver<'_>, table: &ActionTable) {
    if let Some(restart) = &table.restart {
        let what = "a job is not started again when it ends: it has a schedule";
        let problem = Problem::new(what, "drop `restart`; `retries` is for failures");
        resolver.report(problem.at(Some(resolver.place(restart))));
    }
}

/// Rejects keys that have no meaning for the kind of schedule.
fn pointless(resolver: &mut Resolver<'_>, table: &ActionTable, schedule: &Schedule) {
    let place = |text: &Option<LocatedText>| text.as_ref().map(|text| resolver.place(text));
    let zone = ("zone", place(&table.zone));
    let (why, keys) = match schedule {
        Schedule::Cron(..) => return,
        Schedule::Every(_) => {
            ("`every` counts from the beginning of Unix time, wherever that is", vec![zone])
        }
        Schedule::OnDemand => {
            let jitter = ("jitter", resolver.place_of(table.jitter.as_ref()));
            let missed = ("missed", place(&table.missed));
            ("this job runs when it is asked to", vec![zone, jitter, missed])
        }
    };
    for (key, place) in keys.into_iter().filter(|(_, place)| place.is_some()) {
        let what = format!("`{key}` has no meaning here: {why}");
        resolver.report(Problem::new(what, format!("drop `{key}`")).at(place));
    }
}

/// Reads `missed`; rejects `all` together with `replace`: each run would cancel the one
/// before, and only the last would run.
fn read_missed(
    resolver: &mut Resolver<'_>,
    missed: &Setting,
    concurrency: Option<ConcurrencyPolicy>,
) -> Option<MissedPolicy> {
    resolver.read(missed, |text| match (MissedPolicy::parse(text)?, concurrency) {
        (MissedPolicy::All, Some(ConcurrencyPolicy::Replace)) => Err(Problem::new(
            "with `concurrency = \"replace\"` each missed run would end the one before it",
            "write `missed = \"once\"`, which runs the latest, or another `concurrency`",
        )),
        (missed, _) => Ok(missed),
    })
}
