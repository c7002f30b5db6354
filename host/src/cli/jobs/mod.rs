//! `soloist jobs`: when jobs fire, how it went, and having one run now.
//!
//! Any host is asked, whoever leads.

mod show;

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use http::Method;
use serde::de::DeserializeOwned;

use super::{
    ExitError,
    client::{self, Client, HostArgs, Question, STORE_PATIENCE},
    terminal::{Paint, say, say_json, tame},
};
use crate::{
    action::{Outcome, Record},
    api::{JobFirings, JobFuture, JobList, NEXT_MAX},
};

/// A job may take its time.
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
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(RunArgs),
    Next(NextArgs),
    History(HistoryArgs),
}

/// Have a job run now, by the host that leads
#[derive(Debug, Args)]
struct RunArgs {
    /// The job
    name: String,
    /// Wait for its end, and fail if it does
    #[arg(long)]
    wait: bool,
}

/// Show the latest firings of a job, and what the last one printed
#[derive(Debug, Args)]
struct HistoryArgs {
    /// The job
    name: String,
}

/// Show the next firings of a job, and the nights on which clocks are set
#[derive(Debug, Args)]
struct NextArgs {
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

/// Asks a host, and prints what it says.
pub(super) async fn main(args: JobsArgs) -> Result<(), ExitError> {
    let desk = Desk { client: args.host.client()?, json: args.json };
    match args.command {
        None => {
            let answer = desk.ask(desk.of(Method::GET, &[])).await?;
            desk.print(&answer, |list: &JobList| show::jobs(list, now(), Paint::stdout()))
        }
        Some(Command::History(HistoryArgs { name })) => {
            let answer = desk.ask(desk.of(Method::GET, &[&name])).await?;
            desk.print(&answer, |job: &JobFirings| show::firings(job, now(), Paint::stdout()))
        }
        Some(Command::Next(NextArgs { name, count, zone })) => {
            let question = desk.of(Method::GET, &[&name, "next"]);
            let mut question = question.option("count", &count.to_string());
            if let Some(zone) = &zone {
                question = question.option("zone", zone);
            }
            let answer = desk.ask(question).await?;
            desk.print(&answer, |future: &JobFuture| show::next(future, now(), Paint::stdout()))
        }
        Some(Command::Run(args)) => run(&desk, &args).await,
    }
}

async fn run(desk: &Desk, args: &RunArgs) -> Result<(), ExitError> {
    let question = desk.of(Method::POST, &[&args.name, "run"]);
    let answer = if args.wait {
        question.option("wait", "true").ask(LONG_PATIENCE).await?.text()?
    } else {
        desk.ask(question).await?
    };
    desk.print(&answer, |record: &Record| show::firing(record))?;
    let record: Record = desk.parse(&answer)?;
    match record.outcome {
        Outcome::Running | Outcome::Done => Ok(()),
        _ => {
            let told = tame(record.error.as_deref().unwrap_or("it gave no reason"));
            let what = format!("{} {}: {told}", record.id, record.outcome);
            let help = format!("`soloist jobs history {}` shows more", args.name);
            Err(ExitError::refused(what).help(help))
        }
    }
}

/// Where jobs are asked for.
struct Desk {
    client: Client,
    json: bool,
}

impl Desk {
    /// A question about jobs.
    fn of(&self, method: Method, steps: &[&str]) -> Question<'_> {
        self.client.question(method, &[&["v1", "jobs"], steps].concat())
    }

    async fn ask(&self, question: Question<'_>) -> Result<String, ExitError> {
        question.ask(STORE_PATIENCE).await?.text()
    }

    fn parse<T: DeserializeOwned>(&self, answer: &str) -> Result<T, ExitError> {
        client::parse(self.client.url(), answer.as_bytes())
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
