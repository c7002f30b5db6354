//! `soloist call`, `tasks`: having work done by whichever host has time.

use std::{
    io::{Read, stdin},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use reqwest::{Response, Url};

use super::{
    ExitError,
    client::{self, Client},
    table::Table,
    terminal::{Paint, hand_out, remark, say},
};
use crate::api::TaskEntry;

/// How much longer than its time-out an answer may take on its way.
const WAY: Duration = Duration::from_secs(5);
/// The most that the settings of a task can let it take.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Have a task done, by whichever host has time, and print the result
///
/// The result goes to stdout as it is, and who worked to stderr.
#[derive(Debug, Args)]
pub(super) struct CallArgs {
    /// The task
    task: String,
    /// What is handed over; `-` is what comes on stdin
    #[arg(default_value = "", conflicts_with = "file")]
    payload: String,
    /// Hand over the content of a file
    #[arg(long)]
    file: Option<PathBuf>,
    /// The form of that, as in application/json
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
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

/// Show the tasks, and the hosts that take calls of each
#[derive(Debug, Args)]
pub(super) struct TasksArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The control API of any host
    #[arg(long, env = "SOLOIST_URL", default_value = "http://127.0.0.1:4000")]
    url: String,
}

pub(super) async fn call(args: CallArgs) -> Result<(), ExitError> {
    let payload = payload(&args)?;
    let mut url = address(&args.url, Some(&args.task))?;
    url.query_pairs_mut().append_pair("attempts", &args.attempts.to_string());
    if let Some(timeout) = args.timeout {
        let timeout = humantime::format_duration(timeout).to_string();
        url.query_pairs_mut().append_pair("timeout", &timeout.replace(' ', ""));
    }
    let request = Client::new()?.http().post(url).body(payload);
    let request = request.timeout(args.timeout.unwrap_or(LONGEST).saturating_add(WAY));
    let request = match &args.content_type {
        Some(form) => request.header(reqwest::header::CONTENT_TYPE, form),
        None => request,
    };
    let answer = request.send().await.map_err(|error| client::refusal(&args.url, error))?;
    let answer = client::done(&args.url, answer).await?;
    let worked = worked(&answer);
    let result = answer.bytes().await.map_err(|error| client::refusal(&args.url, error))?;
    hand_out(&result);
    if !args.quiet {
        remark(&worked);
    }
    Ok(())
}

pub(super) async fn list(args: TasksArgs) -> Result<(), ExitError> {
    let text = asked(&args.url).await?;
    say(&if args.json { text } else { show(&parse(&text)?, Paint::stdout()) });
    Ok(())
}

/// The tasks that the host at `url` knows.
pub(super) async fn tasks(url: &str) -> Result<Vec<TaskEntry>, ExitError> {
    parse(&asked(url).await?)
}

async fn asked(url: &str) -> Result<String, ExitError> {
    let answer = Client::new()?.http().get(address(url, None)?).send().await;
    let answer = client::done(url, answer.map_err(|error| client::refusal(url, error))?).await?;
    answer.text().await.map_err(|error| client::refusal(url, error))
}

fn parse(text: &str) -> Result<Vec<TaskEntry>, ExitError> {
    serde_json::from_str(text).map_err(|error| {
        ExitError::unavailable("the answer is not a list of tasks")
            .caused_by(&error)
            .help("does another server listen there, or another version of soloist?")
    })
}

fn payload(args: &CallArgs) -> Result<Vec<u8>, ExitError> {
    let unreadable = |what: String| {
        move |error: std::io::Error| {
            ExitError::usage(format!("cannot read {what}")).caused_by(&error)
        }
    };
    if let Some(file) = &args.file {
        return std::fs::read(file).map_err(unreadable(file.display().to_string()));
    }
    if args.payload != "-" {
        return Ok(args.payload.clone().into_bytes());
    }
    let mut payload = Vec::new();
    stdin().read_to_end(&mut payload).map_err(unreadable("stdin".to_owned()))?;
    Ok(payload)
}

fn address(url: &str, task: Option<&str>) -> Result<Url, ExitError> {
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

fn show(tasks: &[TaskEntry], paint: Paint) -> String {
    if tasks.is_empty() {
        return "no tasks: a plugin that exports soloist:plugin/task makes one\n".to_owned();
    }
    let mut table = Table::new(["TASK", "HOSTS", "ON", "TIMEOUT"]);
    for task in tasks {
        let hosts: Vec<_> = task.hosts.iter().map(|host| &**host).collect();
        let hosts = if hosts.is_empty() { "none".to_owned() } else { hosts.join(", ") };
        let timeout = Duration::from_millis(task.timeout_ms);
        table.row([
            (&task.name).into(),
            hosts.into(),
            task.on.as_deref().unwrap_or("any").into(),
            humantime::format_duration(timeout).to_string().into(),
        ]);
    }
    table.render(paint)
}
