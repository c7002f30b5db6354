//! Formats jobs and their runs.

use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use owo_colors::Style;

use crate::{
    api::{JobFuture, JobHistory, JobList, NextRun},
    cli::{
        terminal::{Paint, sanitize},
        text_table::{TableCell, TextTable},
    },
};
use soloist_config::moment;
use soloist_jobs::{RunOutcome, RunRecord};

const UNKNOWN: &str = "–";

/// All jobs, one per line.
pub(super) fn jobs(list: &JobList, now: DateTime<Utc>, paint: Paint) -> String {
    if list.jobs.is_empty() {
        return "no action of this host has a `schedule`\n".to_owned();
    }
    let mut table =
        TextTable::new(["JOB", "GROUP", "SCHEDULE", "NEXT", "LAST", "OUTCOME", "ERROR"]);
    for job in &list.jobs {
        let last = job.last_run.as_ref();
        table.row([
            (&job.name).into(),
            (&job.group).into(),
            (&job.schedule).into(),
            when(job.next_run_at, now),
            when(last.map(|last| last.started_at), now),
            last.map_or_else(unknown, outcome),
            match &job.error {
                Some(error) => TableCell::new(sanitize(error), Style::new().red()),
                None => last.map_or_else(TableCell::default, error),
            },
        ]);
    }
    table.render(paint)
}

/// The runs of one job, the latest first, and the output of that one.
pub(super) fn runs(job: &JobHistory, now: DateTime<Utc>, paint: Paint) -> String {
    let next = job.job.next_run_at.map_or("on request".to_owned(), |next| both(next, now));
    let mut text =
        format!("{}: {}; next {next}\n", sanitize(&job.job.name), sanitize(&job.job.schedule));
    let Some(latest) = job.runs.first() else {
        return text + "it has not run yet\n";
    };
    let mut table = TextTable::new([
        "STARTED",
        "RUN",
        "OUTCOME",
        "TOOK",
        "ATTEMPT",
        "HOST",
        "FENCING TOKEN",
        "MISSED",
        "ERROR",
    ]);
    for record in &job.runs {
        table.row([
            ago(record.started_at, now).into(),
            (&record.id).into(),
            outcome(record),
            record.ended_at.map_or_else(unknown, |ended| span(ended - record.started_at).into()),
            record.attempt.to_string().into(),
            (&record.host).into(),
            record.fencing_token.to_string().into(),
            if record.missed_runs == 0 { unknown() } else { record.missed_runs.to_string().into() },
            error(record),
        ]);
    }
    text += &format!("\n{}", table.render(paint));
    if !latest.output.is_empty() {
        text += &format!("\n{} printed:\n", sanitize(&latest.id));
        text.extend(latest.output.lines().map(|line| format!("  {}\n", sanitize(line))));
    }
    text
}

/// The upcoming runs of one job.
pub(super) fn next(future: &JobFuture, now: DateTime<Utc>, paint: Paint) -> String {
    let JobFuture { name, schedule, time_zone, runs } = future;
    let mut text = format!("{}: {}\n", sanitize(name), sanitize(schedule));
    if runs.is_empty() {
        return text + "it has no further runs by schedule\n";
    }
    let heading = format!("TIME IN {time_zone}");
    let ends = |run: &NextRun| -> [TableCell; 2] {
        let remark = run.remark.as_deref().unwrap_or_default();
        [ago(run.due_at, now).into(), TableCell::new(remark, Style::new().yellow())]
    };
    let mut table;
    if time_zone == "UTC" {
        table = TextTable::new([&*heading, "BEGINS", "REMARK"]);
        for run in runs {
            let [begins, remark] = ends(run);
            table.row([(&run.local_time).into(), begins, remark]);
        }
    } else {
        table = TextTable::new([&*heading, "UTC", "BEGINS", "REMARK"]);
        for run in runs {
            let [begins, remark] = ends(run);
            table.row([(&run.local_time).into(), moment(run.scheduled_at).into(), begins, remark]);
        }
    }
    text += &format!("\n{}", table.render(paint));
    text
}

/// A run that was requested.
pub(super) fn run(record: &RunRecord) -> String {
    let took = record.ended_at.map(|ended| format!(" after {}", span(ended - record.started_at)));
    let mut text =
        format!("{} {}{}\n", sanitize(&record.id), record.outcome, took.unwrap_or_default());
    text.extend(record.output.lines().map(|line| format!("  {}\n", sanitize(line))));
    text
}

fn outcome(record: &RunRecord) -> TableCell {
    let style = match record.outcome {
        RunOutcome::Done => Style::new().green(),
        RunOutcome::Failed | RunOutcome::Missed | RunOutcome::Interrupted => Style::new().red(),
        RunOutcome::Running | RunOutcome::Replaced => Style::new(),
    };
    TableCell::new(record.outcome.as_str(), style)
}

/// The first line of the error; the rest is in the log.
fn error(record: &RunRecord) -> TableCell {
    let error = record.error.as_deref().and_then(|error| error.lines().next());
    TableCell::new(error.unwrap_or_default(), Style::new().red())
}

fn unknown() -> TableCell {
    TableCell::new(UNKNOWN, Style::new().dimmed())
}

fn when(moment: Option<DateTime<Utc>>, now: DateTime<Utc>) -> TableCell {
    moment.map_or_else(unknown, |moment| both(moment, now).into())
}

/// Formats as in `in 5m (2026-11-22T03:00:00Z)`.
fn both(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    format!("{} ({})", ago(at, now), moment(at.trunc_subsecs(0)))
}

/// Formats as in `in 5m`, or `2m 3s ago`.
fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if at > now { format!("in {}", span(at - now)) } else { format!("{} ago", span(now - at)) }
}

/// Formats a time span in its two greatest units; below one second in milliseconds.
fn span(span: TimeDelta) -> String {
    let span = span.to_std().unwrap_or_default();
    let whole = match span.as_secs() {
        0 => Duration::from_millis(u64::from(span.subsec_millis())),
        seconds => Duration::from_secs(seconds),
    };
    let shown = humantime::format_duration(whole).to_string();
    shown.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::JobEntry;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn record() -> RunRecord {
        RunRecord {
            id: "report@2026-11-22T03:00:00Z".into(),
            scheduled_at: at("2026-11-22T03:00:00Z"),
            by_hand: false,
            missed_runs: 2,
            host: "a".into(),
            fencing_token: 17,
            started_at: at("2026-11-22T03:00:00.004Z"),
            ended_at: Some(at("2026-11-22T03:01:23.5Z")),
            attempt: 3,
            outcome: RunOutcome::Failed,
            exit_code: Some(7),
            error: Some("it exited with code 7".into()),
            output: "one\n\u{1b}[31mtwo\n".into(),
        }
    }

    fn job(last: Option<RunRecord>) -> JobEntry {
        JobEntry {
            name: "report".into(),
            group: "main".into(),
            schedule: "0 3 * * * Europe/Berlin".into(),
            catch_up: "skip".into(),
            next_run_at: Some(at("2026-11-23T02:00:00Z")),
            last_run: last,
            error: None,
        }
    }

    #[test]
    fn jobs_at_a_glance() {
        let asked = JobEntry {
            name: "asked".into(),
            schedule: "none".into(),
            next_run_at: None,
            ..job(None)
        };
        let list = JobList { jobs: vec![asked, job(Some(record()))] };
        assert_eq!(
            jobs(&list, at("2026-11-22T03:02:00Z"), Paint::OFF),
            "\
JOB     GROUP  SCHEDULE                 NEXT                               LAST                               OUTCOME  ERROR
asked   main   none                     –                                  –                                  –
report  main   0 3 * * * Europe/Berlin  in 22h 58m (2026-11-23T02:00:00Z)  1m 59s ago (2026-11-22T03:00:00Z)  failed   it exited with code 7
"
        );
    }

    #[test]
    fn the_runs_of_one() {
        let shown = JobHistory { job: job(Some(record())), runs: vec![record()] };
        assert_eq!(
            runs(&shown, at("2026-11-22T03:02:00Z"), Paint::OFF),
            "\
report: 0 3 * * * Europe/Berlin; next in 22h 58m (2026-11-23T02:00:00Z)

STARTED     RUN                          OUTCOME  TOOK    ATTEMPT  HOST  FENCING TOKEN  MISSED  ERROR
1m 59s ago  report@2026-11-22T03:00:00Z  failed   1m 23s  3        a     17             2       it exited with code 7

report@2026-11-22T03:00:00Z printed:
  one
  \\u{1b}[31mtwo
"
        );
        let none = JobHistory { job: job(None), runs: Vec::new() };
        let text = runs(&none, at("2026-11-22T03:02:00Z"), Paint::OFF);
        assert!(text.ends_with("it has not run yet\n"), "{text}");
    }

    #[test]
    fn what_comes_next_of_one() {
        let run = |day: &str, shown: &str, remark: Option<&str>| NextRun {
            id: format!("report@{day}"),
            scheduled_at: at(day),
            due_at: at(day),
            local_time: shown.into(),
            remark: remark.map(str::to_owned),
        };
        let mut future = JobFuture {
            name: "report".into(),
            schedule: "30 2 * * * Europe/Berlin".into(),
            time_zone: "Europe/Berlin".into(),
            runs: vec![
                run("2026-03-28T01:30:00Z", "Sat 2026-03-28 02:30:00 +01:00", None),
                run("2026-03-29T01:00:00Z", "Sun 2026-03-29 03:00:00 +02:00", Some("set")),
            ],
        };
        assert_eq!(
            next(&future, at("2026-03-28T01:00:00Z"), Paint::OFF),
            "\
report: 30 2 * * * Europe/Berlin

TIME IN Europe/Berlin           UTC                   BEGINS   REMARK
Sat 2026-03-28 02:30:00 +01:00  2026-03-28T01:30:00Z  in 30m
Sun 2026-03-29 03:00:00 +02:00  2026-03-29T01:00:00Z  in 1day  set
"
        );
        (future.time_zone, future.runs[0].local_time) = ("UTC".into(), "Sat 01:30".into());
        future.runs.truncate(1);
        let text = next(&future, at("2026-03-28T01:00:00Z"), Paint::OFF);
        let once = "TIME IN UTC  BEGINS  REMARK\nSat 01:30    in 30m\n";
        assert!(text.ends_with(once), "{text}");
        future.runs.clear();
        let text = next(&future, at("2026-03-28T01:00:00Z"), Paint::OFF);
        assert!(text.ends_with("it has no further runs by schedule\n"), "{text}");
    }

    #[test]
    fn one_that_was_asked_for() {
        let running = RunRecord {
            outcome: RunOutcome::Running,
            ended_at: None,
            output: String::new(),
            ..record()
        };
        assert_eq!(run(&running), "report@2026-11-22T03:00:00Z running\n");
        let failed = run(&record());
        assert!(
            failed.starts_with("report@2026-11-22T03:00:00Z failed after 1m 23s\n  one\n"),
            "{failed}"
        );
    }
}
