//! `soloist jobs`: when jobs fire, how it went, and having one run now.
//!
//! Any host is asked, whoever leads.

mod show;

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use reqwest::{Method, Url};
use serde::de::DeserializeOwned;

use super::{
    ExitError,
    client::{self, Client},
    terminal::{Paint, say, tame},
};
use crate::{
    action::{Outcome, Record},
    api::{JobFirings, JobList},
};

/// How long a host may take: longer than its store takes to fail.
const PATIENCE: Duration = Duration::from_secs(30);
/// A job may take its time.
const LONG_PATIENCE: Duration = Duration::from_secs(366 * 24 * 3600);

/// Show when jobs fire and how it went, or have one run now
#[derive(Debug, Args)]
pub(super) struct JobsArgs {
    /// The control API of any host
    #[arg(long, env = "SOLOIST_URL", default_value = "http://127.0.0.1:4000", global = true)]
    url: String,
    /// Print the answer as it is
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(RunArgs),
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

/// Asks a host, and prints what it says.
pub(super) async fn main(args: JobsArgs) -> Result<(), ExitError> {
    let desk = Desk { client: Client::new()?, url: args.url, json: args.json };
    match args.command {
        None => {
            let answer = desk.ask(Method::GET, &[], &[], PATIENCE).await?;
            desk.print(&answer, |list: &JobList| show::jobs(list, now(), Paint::stdout()))
        }
        Some(Command::History(HistoryArgs { name })) => {
            let answer = desk.ask(Method::GET, &[&name], &[], PATIENCE).await?;
            desk.print(&answer, |job: &JobFirings| show::firings(job, now(), Paint::stdout()))
        }
        Some(Command::Run(args)) => run(&desk, &args).await,
    }
}

async fn run(desk: &Desk, args: &RunArgs) -> Result<(), ExitError> {
    let wait = [("wait", "true")];
    let (options, patience) =
        if args.wait { (&wait[..], LONG_PATIENCE) } else { (&[][..], PATIENCE) };
    let answer = desk.ask(Method::POST, &[&args.name, "run"], options, patience).await?;
    desk.print(&answer, |record: &Record| show::firing(record))?;
    let record: Record = parse(&answer)?;
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
    url: String,
    json: bool,
}

impl Desk {
    async fn ask(
        &self,
        method: Method,
        steps: &[&str],
        options: &[(&str, &str)],
        patience: Duration,
    ) -> Result<String, ExitError> {
        let no_url = || client::no_url(&self.url);
        let mut url = Url::parse(&self.url).map_err(|_| no_url())?;
        let mut path = url.path_segments_mut().map_err(|()| no_url())?;
        path.pop_if_empty().extend(["v1", "jobs"]).extend(steps);
        drop(path);
        if !options.is_empty() {
            url.query_pairs_mut().extend_pairs(options);
        }
        let request = self.client.http().request(method, url).timeout(patience);
        let answer = request.send().await.map_err(|error| client::refusal(&self.url, error))?;
        let answer = client::done(&self.url, answer).await?;
        answer.text().await.map_err(|error| client::refusal(&self.url, error))
    }

    fn print<T: DeserializeOwned>(
        &self,
        answer: &str,
        show: impl FnOnce(&T) -> String,
    ) -> Result<(), ExitError> {
        if self.json {
            say(&format!("{answer}\n"));
        } else {
            say(&show(&parse(answer)?));
        }
        Ok(())
    }
}

fn parse<T: DeserializeOwned>(answer: &str) -> Result<T, ExitError> {
    serde_json::from_str(answer).map_err(|error| {
        ExitError::unavailable("the answer is not about the jobs of a soloist host")
            .caused_by(&error)
            .help("does another server listen there, or another version of soloist?")
    })
}

fn now() -> DateTime<Utc> {
    std::time::SystemTime::now().into()
}
