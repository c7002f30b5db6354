//! `soloist jobs`: when jobs fire, how their runs went, and running one now.
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
    terminal::{Paint, sanitize, say, say_json},
};
use crate::api::{JobFuture, JobHistory, JobList, NEXT_MAX};
use soloist_jobs::{RunOutcome, RunRecord};

/// Practically unlimited, since a job may take long.
const LONG_PATIENCE: Duration = Duration::from_secs(366 * 24 * 3600);

/// Show when jobs fire and how it went, or have one run now
#[derive(Debug, Args)]
pub(super) struct JobsArgs {
    #[command(flatten)]
    host: HostArgs,
    /// Print the answer as it is
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<JobsCommand>,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    Run(JobRunArgs),
    Next(JobNextArgs),
    History(JobHistoryArgs),
}

/// Have a job run now, by the host that leads
#[derive(Debug, Args)]
struct JobRunArgs {
    /// The job
    name: String,
    /// Wait for its end, and fail if it does
    #[arg(long)]
    wait: bool,
}

/// Show the latest runs of a job, and what the last one printed
#[derive(Debug, Args)]
struct JobHistoryArgs {
    /// The job
    name: String,
}

/// Show the next runs of a job, and the nights on which clocks are set
#[derive(Debug, Args)]
struct JobNextArgs {
    /// The job
    name: String,
    /// How many
    #[arg(long, default_value_t = 10, value_parser = how_many)]
    count: usize,
    /// The time zone to show them in, as in `Europe/Berlin` [default: that of the job]
    #[arg(long)]
    zone: Option<String>,
}

fn how_many(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=NEXT_MAX).contains(count));
    count.ok_or_else(|| format!("write a number from 1 to {NEXT_MAX}"))
}

/// Asks a host, and prints its response.
pub(super) async fn main(args: JobsArgs) -> Result<(), ExitError> {
    let client = JobsClient { client: args.host.client()?, json: args.json };
    match args.command {
        None => {
            let answer = client.ask(client.of(Method::GET, &[])).await?;
            client.print(&answer, |list: &JobList| show::jobs(list, now(), Paint::stdout()))
        }
        Some(JobsCommand::History(JobHistoryArgs { name })) => {
            let answer = client.ask(client.of(Method::GET, &[&name])).await?;
            client.print(&answer, |job: &JobHistory| show::runs(job, now(), Paint::stdout()))
        }
        Some(JobsCommand::Next(JobNextArgs { name, count, zone })) => {
            let question = client.of(Method::GET, &[&name, "next"]);
            let mut question = question.option("count", &count.to_string());
            if let Some(zone) = &zone {
                question = question.option("time_zone", zone);
            }
            let answer = client.ask(question).await?;
            client.print(&answer, |future: &JobFuture| show::next(future, now(), Paint::stdout()))
        }
        Some(JobsCommand::Run(args)) => run(&client, &args).await,
    }
}

async fn run(client: &JobsClient, args: &JobRunArgs) -> Result<(), ExitError> {
    let question = client.of(Method::POST, &[&args.name, "run"]);
    let answer = if args.wait {
        question.option("wait", "true").send(LONG_PATIENCE).await?.text()?
    } else {
        client.ask(question).await?
    };
    client.print(&answer, |record: &RunRecord| show::run(record))?;
    let record: RunRecord = client.parse(&answer)?;
    match record.outcome {
        RunOutcome::Running | RunOutcome::Done => Ok(()),
        _ => {
            let told = sanitize(record.error.as_deref().unwrap_or("it gave no reason"));
            let what = format!("{} {}: {told}", record.id, record.outcome);
            let help = format!("`soloist jobs history {}` shows more", args.name);
            Err(ExitError::refused(what).help(help))
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
