//! `soloist tasks`: the tasks, the state of queued calls, and dead letters.

use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::{
    ExitError,
    api_client::{ApiClient, ApiRequest, HostArgs, STORE_PATIENCE},
    terminal::{Paint, say, say_json},
    text_table::{TableCell, TextTable},
};
use crate::api::{DeadLetterCount, TaskEntry};

/// How many dead letters are listed at most.
const LETTERS: usize = 1000;

/// Show the tasks and the hosts that take calls of each, or deal with queued calls
#[derive(Debug, Args)]
pub(super) struct TasksArgs {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    host: HostArgs,
    #[command(subcommand)]
    command: Option<TasksCommand>,
}

#[derive(Debug, Subcommand)]
enum TasksCommand {
    /// Show how a queued call stands, as JSON
    Show {
        /// The task
        task: String,
        /// What `soloist enqueue` has printed
        id: String,
    },
    /// Deal with the queued calls that were given up
    #[command(subcommand)]
    Dead(DeadLetterCommand),
}

#[derive(Debug, Subcommand)]
enum DeadLetterCommand {
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
    let (client, json) = (args.host.client()?, args.json);
    let get = |steps: &[&str]| of_tasks(&client, Method::GET, steps);
    match args.command {
        None if json => say_json(&get(&[]).send(STORE_PATIENCE).await?.text()?),
        None => say(&show(&list(&client).await?, Paint::stdout())),
        Some(TasksCommand::Show { task, id }) => {
            say_json(&pretty(&get(&[&task, "queue", &id]).send(STORE_PATIENCE).await?.json()?)?);
        }
        Some(TasksCommand::Dead(DeadLetterCommand::List { task })) => {
            let letters = get(&[&task, "dead-letters"]).option("limit", &LETTERS.to_string());
            let letters: Vec<Value> = letters.send(STORE_PATIENCE).await?.json()?;
            if json {
                say_json(&pretty(&letters.into())?);
            } else {
                say(&dead(&task, &letters));
            }
        }
        Some(TasksCommand::Dead(DeadLetterCommand::Replay { task, id })) => {
            deal(&client, Method::POST, &task, id, "in the queue again").await?;
        }
        Some(TasksCommand::Dead(DeadLetterCommand::Purge { task, id, .. })) => {
            deal(&client, Method::DELETE, &task, id, "taken away").await?;
        }
    }
    Ok(())
}

/// The tasks that a host knows.
pub(super) async fn list(client: &ApiClient) -> Result<Vec<TaskEntry>, ExitError> {
    of_tasks(client, Method::GET, &[]).send(STORE_PATIENCE).await?.json()
}

/// A request to a path below `/v1/tasks`.
fn of_tasks(client: &ApiClient, method: Method, steps: &[&str]) -> ApiRequest {
    client.request(method, &[&["v1", "tasks"], steps].concat())
}

/// Retries or purges dead letters, and reports how many.
async fn deal(
    client: &ApiClient,
    method: Method,
    task: &str,
    id: Option<String>,
    done: &str,
) -> Result<(), ExitError> {
    let id = id.as_deref();
    let retry = (method == Method::POST).then_some("retry");
    let steps: Vec<_> = [task, "dead-letters"].into_iter().chain(id).chain(retry).collect();
    let letters = of_tasks(client, method, &steps);
    let dealt: DeadLetterCount = letters.send(STORE_PATIENCE).await?.json()?;
    say(&format!("{} {done}\n", dealt.count));
    Ok(())
}

fn pretty(value: &Value) -> Result<String, ExitError> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|error| ExitError::internal("cannot write JSON", &error))
}

fn show(tasks: &[TaskEntry], paint: Paint) -> String {
    if tasks.is_empty() {
        return "no tasks: a plugin that exports soloist:plugin/task makes one\n".to_owned();
    }
    let mut table = TextTable::new(["TASK", "HOSTS", "NEEDS", "TIMEOUT"]);
    for task in tasks {
        let hosts: Vec<_> = task.hosts.iter().map(|host| &**host).collect();
        let hosts = if hosts.is_empty() { "none".to_owned() } else { hosts.join(", ") };
        let timeout = Duration::from_millis(task.call_timeout_ms);
        table.row([
            (&task.name).into(),
            hosts.into(),
            task.require_label.as_deref().unwrap_or("any").into(),
            humantime::format_duration(timeout).to_string().into(),
        ]);
    }
    table.render(paint)
}

fn dead(task: &str, letters: &[Value]) -> String {
    if letters.is_empty() {
        return format!("no dead letters of {task}\n");
    }
    let mut table = TextTable::new(["ID", "GIVEN UP", "ATTEMPTS", "WHY"]);
    for letter in letters {
        let text = |key: &str| letter[key].as_str().unwrap_or_default();
        table.row([
            text("id").into(),
            text("ended_at").into(),
            TableCell::from(letter["attempts"].to_string()),
            text("error").lines().next().unwrap_or_default().into(),
        ]);
    }
    table.render(Paint::stdout())
}
