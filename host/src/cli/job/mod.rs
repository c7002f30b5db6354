//! `soloist job`: the jobs, their runs, and running one now.
//!
//! Any host can be asked, whether it leads or not.

mod show;

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use http::Method;
use serde::de::DeserializeOwned;

use super::{
    ExitError,
    api_client::{self, ApiClient, ApiRequest, HostArgs, STORE_PATIENCE},
    terminal::{Paint, remark, sanitize, say, say_json},
};
use crate::api::{JobFuture, JobHistory, JobList, NEXT_MAX};
use soloist_jobs::{RunOutcome, RunRecord};

/// Practically unlimited, since a job may take long.
const LONG_PATIENCE: Duration = Duration::from_secs(366 * 24 * 3600);

/// List jobs, show their runs, or run one now
///
/// Without a subcommand this lists the jobs, as `soloist job list` does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist job
  soloist job run report --wait
  soloist job history report")]
pub(super) struct JobArgs {
    #[command(flatten)]
    list: JobListArgs,
    #[command(flatten)]
    host: HostArgs,
    #[command(subcommand)]
    command: Option<JobCommand>,
}

#[derive(Debug, Subcommand)]
enum JobCommand {
    #[command(visible_alias = "ls")]
    List(JobListArgs),
    Next(JobNextArgs),
    History(JobHistoryArgs),
    Run(JobRunArgs),
}

/// List the jobs, each with its schedule, its next run and its last one
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist job list
  soloist job list --json")]
struct JobListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Run a job now, on the host that leads its group
///
/// Without --wait the command returns when the run has begun. The schedule goes on as before.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist job run report
  soloist job run report --wait")]
struct JobRunArgs {
    /// The job
    job: String,
    /// Wait until the run ends; exit with 1 if it failed
    #[arg(long)]
    wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show the latest runs of a job, and what the last one printed
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist job history report")]
struct JobHistoryArgs {
    /// The job
    job: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show the next runs of a job, and what becomes of them when clocks are set
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist job next report
  soloist job next report --count 30 --time-zone Europe/Berlin")]
struct JobNextArgs {
    /// The job
    job: String,
    /// The number of runs, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = how_many)]
    count: usize,
    /// The time zone to show them in, as in Europe/Berlin [default: the job's own]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn how_many(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=NEXT_MAX).contains(count));
    count.ok_or_else(|| format!("write a number from 1 to {NEXT_MAX}"))
}

/// Asks a host, and prints its response.
pub(super) async fn main(args: JobArgs) -> Result<(), ExitError> {
    let JobArgs { list, host, command } = args;
    let client = host.client()?;
    let of = |json: bool| JobsClient { client: client.clone(), json: json || list.json };
    match command.unwrap_or(JobCommand::List(JobListArgs { json: false })) {
        JobCommand::List(JobListArgs { json }) => {
            let client = of(json);
            let answer = client.ask(client.of(Method::GET, &[])).await?;
            client.print(&answer, |list: &JobList| show::jobs(list, now(), Paint::stdout()))
        }
        JobCommand::History(JobHistoryArgs { job, json }) => {
            let client = of(json);
            let answer = client.ask(client.of(Method::GET, &[&job])).await?;
            client.print(&answer, |job: &JobHistory| show::runs(job, now(), Paint::stdout()))
        }
        JobCommand::Next(args) => next(&of(args.json), &args).await,
        JobCommand::Run(args) => run(&of(args.json), &args).await,
    }
}

async fn next(client: &JobsClient, args: &JobNextArgs) -> Result<(), ExitError> {
    let question = client.of(Method::GET, &[&args.job, "next"]);
    let mut question = question.option("count", &args.count.to_string());
    if let Some(zone) = &args.time_zone {
        question = question.option("time_zone", zone);
    }
    let answer = client.ask(question).await?;
    client.print(&answer, |future: &JobFuture| show::next(future, now(), Paint::stdout()))
}

async fn run(client: &JobsClient, args: &JobRunArgs) -> Result<(), ExitError> {
    let question = client.of(Method::POST, &[&args.job, "run"]);
    let answer = if args.wait {
        question.option("wait", "true").send(LONG_PATIENCE).await?.text()?
    } else {
        client.ask(question).await?
    };
    client.print(&answer, |record: &RunRecord| show::run(record))?;
    let record: RunRecord = client.parse(&answer)?;
    match record.outcome {
        RunOutcome::Running => {
            remark(&format!("`soloist job history {}` shows what becomes of it", args.job));
            Ok(())
        }
        RunOutcome::Done => Ok(()),
        _ => {
            let reason = sanitize(record.error.as_deref().unwrap_or("it gave no reason"));
            let what = format!("{} {}: {reason}", record.id, record.outcome);
            let help = format!("`soloist job history {}` shows more", args.job);
            Err(ExitError::failed(what).help(help))
        }
    }
}

/// Sends requests about jobs.
struct JobsClient {
    client: ApiClient,
    json: bool,
}

impl JobsClient {
    /// A request to a path below `/v1/jobs`.
    fn of(&self, method: Method, steps: &[&str]) -> ApiRequest {
        self.client.request(method, &[&["v1", "jobs"], steps].concat())
    }

    async fn ask(&self, question: ApiRequest) -> Result<String, ExitError> {
        question.send(STORE_PATIENCE).await?.text()
    }

    fn parse<T: DeserializeOwned>(&self, answer: &str) -> Result<T, ExitError> {
        api_client::parse(self.client.url(), answer.as_bytes())
    }

    fn print<T: DeserializeOwned>(
        &self,
        answer: &str,
        show: impl FnOnce(&T) -> String,
    ) -> Result<(), ExitError> {
        if self.json {
            say_json(&format!("{answer}\n"));
        } else {
            say(&show(&self.parse(answer)?));
        }
        Ok(())
    }
}

fn now() -> DateTime<Utc> {
    std::time::SystemTime::now().into()
}
