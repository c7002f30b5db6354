//! The settings of a job: when it fires, and what happens to runs that cannot start in time.

use std::time::Duration;

use super::{
    choice::{Choice, choice},
    problem::Problem,
    renames,
    resolver::{Resolver, Setting},
    schedule::{self, Schedule},
    settings_file::{ActionTable, LocatedText},
};

const TIME_ZONE: &str = "UTC";
const JITTER: Duration = Duration::ZERO;
const CATCH_UP: &str = "skip";
const OVERLAP: &str = "forbid";
const RUN_TIMEOUT: Duration = Duration::from_secs(3600);
const MAX_ATTEMPTS: usize = 1;

/// When and how a job runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobConfig {
    /// When it fires.
    pub schedule: Schedule,
    /// The greatest random delay of each run.
    pub jitter: Duration,
    /// What happens to runs that could not start in time.
    pub catch_up: CatchUpPolicy,
    /// What happens to a run while an earlier one is still running.
    pub overlap: OverlapPolicy,
    /// How long one attempt may take.
    pub run_timeout: Duration,
    /// How many attempts a run gets in all; at least one.
    pub max_attempts: usize,
}

/// What happens to runs that could not start in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUpPolicy {
    /// They are dropped.
    Skip,
    /// Only the latest of them is run.
    Latest,
    /// Each is run, in order.
    All,
}

choice! {
    CatchUpPolicy { Skip = "skip", Latest = "latest", All = "all" },
    "catch_up",
    "write \"skip\" (they are dropped), \"latest\" (the latest is run) or \"all\" (each is run)"
}

/// What happens to a run while an earlier one is still running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverlapPolicy {
    /// It waits, and so may be missed.
    Forbid,
    /// It runs in parallel.
    Allow,
    /// It cancels the earlier one.
    Replace,
}

choice! {
    OverlapPolicy { Forbid = "forbid", Allow = "allow", Replace = "replace" },
    "overlap",
    "write \"forbid\" (one at a time), \"allow\" (side by side) or \"replace\" (the later ends the earlier)"
}

/// The job of `table`, if it is one; `None` after reporting what is wrong.
pub(super) fn read(resolver: &mut Resolver<'_>, table: &ActionTable) -> Option<Option<JobConfig>> {
    let Some(schedule) = &table.schedule else {
        let texts = [
            ("time_zone", &table.time_zone),
            ("catch_up", &table.catch_up),
            ("overlap", &table.overlap),
        ];
        let places: Vec<_> = texts
            .map(|(key, text)| (key, text.as_ref().map(|text| resolver.place(text))))
            .into_iter()
            .chain([("jitter", resolver.place_of(table.jitter.as_ref()))])
            .filter(|(_, place)| place.is_some())
            .collect();
        let misplaced = !places.is_empty();
        for (key, place) in places {
            let what = format!("`{key}` applies to jobs only, and this action has no `schedule`");
            let help = "add `schedule`, as in `schedule = \"0 3 * * *\"` or `schedule = \"none\"`";
            resolver.report(Problem::new(what, help).at(place));
        }
        return (!misplaced).then_some(None);
    };
    restarts(resolver, table);
    let time_zone = resolver.written(table.time_zone.clone(), TIME_ZONE);
    let time_zone = resolver.read(&time_zone, schedule::zone);
    let schedule = resolver.written(Some(schedule.clone()), "");
    let schedule =
        resolver.read(&schedule, |text| Schedule::parse(text, time_zone.unwrap_or_default()));
    if let Some(schedule) = &schedule {
        pointless(resolver, table, schedule);
    }
    let jitter = resolver.bounded(table.jitter.as_ref(), JITTER);
    let overlap = resolver.written(table.overlap.clone(), OVERLAP);
    let overlap = resolver.read(&overlap, OverlapPolicy::parse);
    let catch_up = resolver.written(table.catch_up.clone(), CATCH_UP);
    let catch_up = read_catch_up(resolver, &catch_up, overlap);
    let run_timeout = resolver.bounded(table.run_timeout.as_ref(), RUN_TIMEOUT);
    let max_attempts = resolver.bounded(table.max_attempts.as_ref(), MAX_ATTEMPTS);
    time_zone?;
    Some(Some(JobConfig {
        schedule: schedule?,
        jitter: jitter?,
        catch_up: catch_up?,
        overlap: overlap?,
        run_timeout: run_timeout?,
        max_attempts: max_attempts?,
    }))
}

/// Rejects service-only restart settings: a job that ended has done its work, and only its
/// schedule starts it again.
fn restarts(resolver: &mut Resolver<'_>, table: &ActionTable) {
    if let Some(restart) = &table.restart {
        let what = "`restart` does not apply to jobs: they follow their schedule";
        let problem = Problem::new(what, "drop `restart`; `max_attempts` repeats runs that failed");
        resolver.report(problem.at(Some(resolver.place(restart))));
    }
}

/// Rejects keys that have no meaning for the kind of schedule.
fn pointless(resolver: &mut Resolver<'_>, table: &ActionTable, schedule: &Schedule) {
    let place = |text: &Option<LocatedText>| text.as_ref().map(|text| resolver.place(text));
    let time_zone = ("time_zone", place(&table.time_zone));
    let (why, keys) = match schedule {
        Schedule::Cron(..) => return,
        Schedule::Every(_) => {
            ("`every` counts from the Unix epoch, in any time zone", vec![time_zone])
        }
        Schedule::OnDemand => {
            let jitter = ("jitter", resolver.place_of(table.jitter.as_ref()));
            let catch_up = ("catch_up", place(&table.catch_up));
            ("this job runs on request only", vec![time_zone, jitter, catch_up])
        }
    };
    for (key, place) in keys.into_iter().filter(|(_, place)| place.is_some()) {
        let what = format!("`{key}` has no meaning here: {why}");
        resolver.report(Problem::new(what, format!("drop `{key}`")).at(place));
    }
}

/// Reads `catch_up`; rejects `all` together with `replace`: each run would cancel the one
/// before, and only the last would run.
fn read_catch_up(
    resolver: &mut Resolver<'_>,
    catch_up: &Setting,
    overlap: Option<OverlapPolicy>,
) -> Option<CatchUpPolicy> {
    resolver.read(catch_up, |text| match (catch_up_policy(text)?, overlap) {
        (CatchUpPolicy::All, Some(OverlapPolicy::Replace)) => Err(Problem::new(
            "with `overlap = \"replace\"` and `catch_up = \"all\"`, each missed run would end the \
             previous one",
            "write `catch_up = \"latest\"`, which runs the latest, or another `overlap`",
        )),
        (catch_up, _) => Ok(catch_up),
    })
}

fn catch_up_policy(text: &str) -> Result<CatchUpPolicy, Problem> {
    if text == renames::ONCE {
        let latest = CatchUpPolicy::Latest;
        let what = format!("`{text}` is called `{latest}` now");
        return Err(Problem::new(what, format!("write `catch_up = \"{latest}\"`")));
    }
    CatchUpPolicy::parse(text)
}
