//! The settings of a job: when it fires, and what becomes of firings that cannot be had.

use std::{fmt, time::Duration};

use super::{
    file::{ActionTable, Text, Written, nearest},
    problem::Problem,
    resolver::{Resolver, Setting},
    schedule::{self, Schedule},
    value,
};

const ZONE: &str = "UTC";
const JITTER: &str = "0s";
const MISSED: &str = "skip";
const CONCURRENCY: &str = "forbid";
const TIMEOUT: &str = "1h";
const RETRIES: usize = 0;
const RETRIES_MOST: usize = 100;

/// When a program is run, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobConfig {
    /// When it fires.
    pub schedule: Schedule,
    /// By how much each firing is put off at most.
    pub jitter: Duration,
    /// What becomes of firings that could not begin in time.
    pub missed: Missed,
    /// What becomes of a firing while an earlier one runs.
    pub concurrency: Concurrency,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How many more attempts one that has failed gets.
    pub retries: usize,
}

/// What becomes of firings that could not begin in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// They are dropped.
    Skip,
    /// The latest of them is run.
    Once,
    /// Each is run, in order.
    All,
}

impl Missed {
    fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "skip" => Ok(Self::Skip),
            "once" => Ok(Self::Once),
            "all" => Ok(Self::All),
            _ => Err(choice(
                text,
                "nothing that is done about missed firings",
                ["skip", "once", "all"],
                "write \"skip\" (they are dropped), \"once\" (the latest is run) or \"all\" (each is run)",
            )),
        }
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Skip => "skip",
            Self::Once => "once",
            Self::All => "all",
        })
    }
}

/// What becomes of a firing while an earlier one runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// It waits, and is missed by that.
    Forbid,
    /// It runs beside it.
    Allow,
    /// It takes its place.
    Replace,
}

impl Concurrency {
    fn parse(text: &str) -> Result<Self, Problem> {
        match text {
            "forbid" => Ok(Self::Forbid),
            "allow" => Ok(Self::Allow),
            "replace" => Ok(Self::Replace),
            _ => Err(choice(
                text,
                "no way for firings to meet",
                ["forbid", "allow", "replace"],
                "write \"forbid\" (one at a time), \"allow\" (side by side) or \"replace\" (the later ends the earlier)",
            )),
        }
    }
}

fn choice(text: &str, what: &str, known: [&str; 3], all: &str) -> Problem {
    let mend = match nearest(text, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => all.to_owned(),
    };
    Problem::new(format!("`{text}` is {what}"), mend)
}

/// The job of `table`, if it is one; nothing after taking down what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<Option<JobConfig>> {
    let Some(schedule) = &table.schedule else {
        let keys = [
            ("zone", &table.zone),
            ("jitter", &table.jitter),
            ("missed", &table.missed),
            ("concurrency", &table.concurrency),
        ];
        let texts = keys.into_iter().filter_map(|(key, text)| Some((key, text.as_ref()?.span())));
        let number = table.retries.as_ref().map(|number| ("retries", number.span()));
        let misplaced: Vec<_> = texts.chain(number).collect();
        for (key, span) in &misplaced {
            let what = format!("`{key}` says something of a job, and this is none");
            let mend = "add `schedule`, as in `schedule = \"0 3 * * *\"` or `schedule = \"none\"`";
            report(resolver, Written::new(span.clone(), ()), Problem::new(what, mend));
        }
        return misplaced.is_empty().then_some(None);
    };
    restarts(resolver, table);
    let zone = resolver.written(table.zone.clone(), ZONE);
    let zone = resolver.read(&zone, schedule::zone);
    let schedule = resolver.written(Some(schedule.clone()), "");
    let schedule = resolver.read(&schedule, |text| Schedule::parse(text, zone.unwrap_or_default()));
    if let Some(schedule) = &schedule {
        pointless(resolver, table, schedule);
    }
    let jitter = resolver.written(table.jitter.clone(), JITTER);
    let jitter = resolver.read(&jitter, put_off);
    let concurrency = resolver.written(table.concurrency.clone(), CONCURRENCY);
    let concurrency = resolver.read(&concurrency, Concurrency::parse);
    let missed = resolver.written(table.missed.clone(), MISSED);
    let missed = read_missed(resolver, &missed, concurrency);
    let timeout = resolver.written(table.timeout.clone(), TIMEOUT);
    let timeout = resolver.read(&timeout, patience);
    let retries = resolver.number(table.retries.clone(), RETRIES, 0..=RETRIES_MOST);
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

fn report<T>(resolver: &mut Resolver<'_>, at: Written<T>, problem: Problem) {
    let place = resolver.place(&at);
    resolver.report(problem.at(Some(place)));
}

/// A job that ends has done its work: it fires again by its schedule alone.
fn restarts(resolver: &mut Resolver<'_>, table: &ActionTable) {
    if let Some(restart) = table.restart.clone() {
        let what = "a job is not started again when it ends: it has a schedule";
        report(resolver, restart, Problem::new(what, "drop `restart`; `retries` is for failures"));
    }
}

/// Refuses what says something of a time that this schedule does not have.
fn pointless(resolver: &mut Resolver<'_>, table: &ActionTable, schedule: &Schedule) {
    let refuse = |resolver: &mut Resolver<'_>, key: &str, text: &Option<Text>, why: &str| {
        if let Some(text) = text.clone() {
            let problem = Problem::new(
                format!("`{key}` has no meaning here: {why}"),
                format!("drop `{key}`"),
            );
            report(resolver, text, problem);
        }
    };
    match schedule {
        Schedule::Cron(..) => {}
        Schedule::Every(_) => {
            let why = "`every` counts from the beginning of Unix time, wherever that is";
            refuse(resolver, "zone", &table.zone, why);
        }
        Schedule::OnDemand => {
            let why = "this job runs when it is asked to";
            refuse(resolver, "zone", &table.zone, why);
            refuse(resolver, "jitter", &table.jitter, why);
            refuse(resolver, "missed", &table.missed, why);
        }
    }
}

/// Of many that take each other's place at once, the last alone would be left.
fn read_missed(
    resolver: &mut Resolver<'_>,
    missed: &Setting,
    concurrency: Option<Concurrency>,
) -> Option<Missed> {
    resolver.read(missed, |text| match (Missed::parse(text)?, concurrency) {
        (Missed::All, Some(Concurrency::Replace)) => Err(Problem::new(
            "with `concurrency = \"replace\"` each missed firing would end the one before it",
            "write `missed = \"once\"`, which runs the latest, or another `concurrency`",
        )),
        (missed, _) => Ok(missed),
    })
}

fn put_off(text: &str) -> Result<Duration, Problem> {
    const MAX: Duration = Duration::from_secs(24 * 3600);
    value::span_within(text, Duration::ZERO..=MAX, "write a span from 0s to 24h")
}

fn patience(text: &str) -> Result<Duration, Problem> {
    const MIN: Duration = Duration::from_millis(1);
    const MAX: Duration = Duration::from_secs(30 * 24 * 3600);
    value::span_within(text, MIN..=MAX, "write a span from 1ms to 30days")
}
