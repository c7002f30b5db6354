//! `soloist tasks`: the tasks, what became of casts, and dead letters.

use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::{Method, Url};
use serde_json::Value;

use super::{
    ExitError,
    call::address,
    client::{self, Client},
    table::{Cell, Table},
    terminal::{Paint, say},
};
use crate::{
    api::{Dealt, TaskEntry},
    words::rfc3339,
};

/// How long a host may take: longer than its store takes to fail.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many dead letters are listed.
const LETTERS: usize = 1000;

/// Show the tasks and the hosts that take calls of each, or deal with casts
#[derive(Debug, Args)]
pub(super) struct TasksArgs {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    /// The control API of any host
    #[arg(long, env = "SOLOIST_URL", default_value = "http://127.0.0.1:4000", global = true)]
    url: String,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show how a cast stands, as JSON
    Show {
        /// The task
        task: String,
        /// What `soloist cast` has printed
        id: String,
    },
    /// Deal with the casts that were given up
    #[command(subcommand)]
    Dead(Dead),
}

#[derive(Debug, Subcommand)]
enum Dead {
    /// Show what was given up, and why
    List {
        /// The task
        task: String,
    },
    /// Have it tried again, with all its attempts
    Replay {
        /// The task
        task: String,
        /// One of them [default: all]
        id: Option<String>,
    },
    /// Take it away for good
    Purge {
        /// The task
        task: String,
        /// One of them
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// All of them
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

pub(super) async fn main(args: TasksArgs) -> Result<(), ExitError> {
    let (url, json) = (args.url.as_str(), args.json);
    match args.command {
        None => {
            let text = ask(url, Method::GET, address(url, None)?).await?;
            say(&if json { text } else { show(&parse::<Vec<_>>(url, &text)?, Paint::stdout()) });
        }
        Some(Command::Show { task, id }) => {
            let text = ask(url, Method::GET, place(url, &task, &id)?).await?;
            say(&(pretty(url, &text)? + "\n"));
        }
        Some(Command::Dead(Dead::List { task })) => {
            let mut letters = place(url, &task, "dead")?;
            letters.query_pairs_mut().append_pair("limit", &LETTERS.to_string());
            let text = ask(url, Method::GET, letters).await?;
            say(&if json {
                pretty(url, &text)? + "\n"
            } else {
                dead(&task, &parse::<Vec<_>>(url, &text)?)
            });
        }
        Some(Command::Dead(Dead::Replay { task, id })) => {
            deal(url, Method::POST, &task, id, "in the queue again").await?;
        }
        Some(Command::Dead(Dead::Purge { task, id, .. })) => {
            deal(url, Method::DELETE, &task, id, "taken away").await?;
        }
    }
    Ok(())
}

/// The tasks that the host at `url` knows.
pub(super) async fn list(url: &str) -> Result<Vec<TaskEntry>, ExitError> {
    parse(url, &ask(url, Method::GET, address(url, None)?).await?)
}

/// Deals with dead letters, and says with how many.
async fn deal(
    url: &str,
    method: Method,
    task: &str,
    id: Option<String>,
    done: &str,
) -> Result<(), ExitError> {
    let mut letters = place(url, task, "dead")?;
    if let Some(id) = id {
        letters.query_pairs_mut().append_pair("id", &id);
    }
    let dealt: Dealt = parse(url, &ask(url, method, letters).await?)?;
    say(&format!("{} {done}\n", dealt.count));
    Ok(())
}

/// What there is of a task under this name.
fn place(url: &str, task: &str, name: &str) -> Result<Url, ExitError> {
    let mut place = address(url, Some(task))?;
    let mut path = place.path_segments_mut().map_err(|()| client::no_url(url))?;
    path.push(name);
    drop(path);
    Ok(place)
}

async fn ask(host: &str, method: Method, url: Url) -> Result<String, ExitError> {
    let request = Client::new()?.http().request(method, url).timeout(PATIENCE);
    let answer = request.send().await.map_err(|error| client::refusal(host, error))?;
    let answer = client::done(host, answer).await?;
    answer.text().await.map_err(|error| client::refusal(host, error))
}

fn parse<T: serde::de::DeserializeOwned>(url: &str, text: &str) -> Result<T, ExitError> {
    serde_json::from_str(text).map_err(|error| {
        ExitError::unavailable(format!("{url} does not answer as a soloist host does"))
            .caused_by(&error)
            .help("does another server listen there, or another version of soloist?")
    })
}

fn pretty(url: &str, text: &str) -> Result<String, ExitError> {
    let value: Value = parse(url, text)?;
    serde_json::to_string_pretty(&value)
        .map_err(|error| ExitError::internal("cannot write JSON", &error))
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

fn dead(task: &str, letters: &[Value]) -> String {
    if letters.is_empty() {
        return format!("no dead letters of {task}\n");
    }
    let mut table = Table::new(["ID", "GIVEN UP", "ATTEMPTS", "WHY"]);
    for letter in letters {
        let text = |key: &str| letter[key].as_str().unwrap_or_default();
        let at = letter["ended"].as_u64().map(rfc3339).unwrap_or_default();
        table.row([
            text("id").into(),
            at.into(),
            Cell::from(letter["attempts"].to_string()),
            text("error").lines().next().unwrap_or_default().into(),
        ]);
    }
    table.render(Paint::stdout())
}
