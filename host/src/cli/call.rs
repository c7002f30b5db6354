//! `soloist call`, `cast`: having work done by whichever host has time.

use std::{
    io::{Read, stdin},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use reqwest::{Response, Url};
use serde::Deserialize;

use super::{
    ExitError,
    client::{self, Client},
    terminal::{hand_out, remark, say, tame},
};

/// How much longer than its time-out an answer may take on its way.
const WAY: Duration = Duration::from_secs(5);
/// How long a cast may take: longer than the store takes to fail.
const PATIENCE: Duration = Duration::from_secs(30);
/// The most that the settings of a task can let it take.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Have a task done, by whichever host has time, and print the result
///
/// The result goes to stdout as it is, and who worked to stderr.
#[derive(Debug, Args)]
pub(super) struct CallArgs {
    /// The task
    task: String,
    #[command(flatten)]
    payload: PayloadArgs,
    /// How long it may take, as in 5s [default: what the task's settings say]
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,
    /// How often it is tried, if the task says that it failed
    #[arg(long, default_value_t = 1)]
    attempts: u32,
    /// Do not say who worked
    #[arg(long, short)]
    quiet: bool,
    /// The control API of any host
    #[arg(long, env = "SOLOIST_URL", default_value = "http://127.0.0.1:4000")]
    url: String,
}

/// Have a task kept in the store until some host has done it, and print its id
///
/// It is done at least once, whoever lives. `soloist tasks show TASK ID` tells what became
/// of it.
#[derive(Debug, Args)]
pub(super) struct CastArgs {
    /// The task
    task: String,
    #[command(flatten)]
    payload: PayloadArgs,
    /// The control API of any host
    #[arg(long, env = "SOLOIST_URL", default_value = "http://127.0.0.1:4000")]
    url: String,
}

/// A cast that was taken.
#[derive(Deserialize)]
struct Cast {
    id: String,
}

/// What is handed over.
#[derive(Debug, Args)]
struct PayloadArgs {
    /// What is handed over; `-` is what comes on stdin
    #[arg(default_value = "", conflicts_with = "file")]
    payload: String,
    /// Hand over the content of a file
    #[arg(long)]
    file: Option<PathBuf>,
    /// The form of that, as in application/json
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
}

pub(super) async fn call(args: CallArgs) -> Result<(), ExitError> {
    let mut url = address(&args.url, Some(&args.task))?;
    url.query_pairs_mut().append_pair("attempts", &args.attempts.to_string());
    if let Some(timeout) = args.timeout {
        let timeout = humantime::format_duration(timeout).to_string();
        url.query_pairs_mut().append_pair("timeout", &timeout.replace(' ', ""));
    }
    let patience = args.timeout.unwrap_or(LONGEST).saturating_add(WAY);
    let answer = send(&args.url, url, args.payload, patience).await?;
    let worked = worked(&answer);
    let result = answer.bytes().await.map_err(|error| client::refusal(&args.url, error))?;
    hand_out(&result);
    if !args.quiet {
        remark(&worked);
    }
    Ok(())
}

pub(super) async fn cast(args: CastArgs) -> Result<(), ExitError> {
    let mut url = address(&args.url, Some(&args.task))?;
    url.query_pairs_mut().append_pair("mode", "cast");
    let answer = send(&args.url, url, args.payload, PATIENCE).await?;
    let cast: Cast = answer.json().await.map_err(|error| client::odd(&args.url, &error))?;
    say(&format!("{}\n", tame(&cast.id)));
    Ok(())
}

async fn send(
    host: &str,
    url: Url,
    payload: PayloadArgs,
    patience: Duration,
) -> Result<Response, ExitError> {
    let request = Client::new()?.http().post(url).timeout(patience);
    let request = match &payload.content_type {
        Some(form) => request.header(reqwest::header::CONTENT_TYPE, form),
        None => request,
    };
    let request = request.body(payload.read()?);
    let answer = request.send().await.map_err(|error| client::refusal(host, error))?;
    client::done(host, answer).await
}

impl PayloadArgs {
    fn read(&self) -> Result<Vec<u8>, ExitError> {
        let unreadable = |what: String| {
            move |error: std::io::Error| {
                ExitError::usage(format!("cannot read {what}")).caused_by(&error)
            }
        };
        if let Some(file) = &self.file {
            return std::fs::read(file).map_err(unreadable(file.display().to_string()));
        }
        if self.payload != "-" {
            return Ok(self.payload.clone().into_bytes());
        }
        let mut payload = Vec::new();
        stdin().read_to_end(&mut payload).map_err(unreadable("stdin".to_owned()))?;
        Ok(payload)
    }
}

/// The place of a task at the host at `url`, or of all of them.
pub(super) fn address(url: &str, task: Option<&str>) -> Result<Url, ExitError> {
    let mut path = format!("{}/v1/tasks", url.trim_end_matches('/'));
    if let Some(task) = task {
        let task = percent_encoding::utf8_percent_encode(task, percent_encoding::NON_ALPHANUMERIC);
        path += &format!("/{task}");
    }
    Url::parse(&path).map_err(|_| client::no_url(url))
}

/// As in `b worked, at attempt 2`.
fn worked(answer: &Response) -> String {
    let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let host = text("soloist-host").unwrap_or("somebody");
    match text("soloist-attempt") {
        Some(attempt) if attempt != "1" => format!("{host} worked, at attempt {attempt}"),
        _ => format!("{host} worked"),
    }
}
