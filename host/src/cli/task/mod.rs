//! `soloist task`: the tasks, calls of them, and dead letters.

mod call;
mod dead_letters;
mod requests;

use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;

use self::{
    call::{TaskCallArgs, TaskEnqueueArgs},
    dead_letters::DeadLetterArgs,
    requests::{of_tasks, pretty},
};
use super::{
    ExitError,
    api_client::{ApiClient, HostArgs, STORE_PATIENCE},
    terminal::{Paint, say, say_json},
    text_table::TextTable,
};
use crate::api::TaskEntry;

/// List tasks, call one, or handle queued calls
///
/// Without a subcommand this lists the tasks, as `soloist task list` does.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist task
  soloist task call shout hello
  soloist task dead-letters list resize")]
pub(super) struct TaskArgs {
    #[command(flatten)]
    list: TaskListArgs,
    #[command(flatten)]
    host: HostArgs,
    #[command(subcommand)]
    command: Option<TaskCommand>,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    #[command(visible_alias = "ls")]
    List(TaskListArgs),
    Call(TaskCallArgs),
    Enqueue(TaskEnqueueArgs),
    Show(TaskShowArgs),
    DeadLetters(DeadLetterArgs),
}

/// List the tasks, and the hosts that take calls of each
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist task list
  soloist task list --json")]
struct TaskListArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show the state of a queued call, as JSON
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist task show resize 01jdxk4vq8")]
struct TaskShowArgs {
    /// The task
    task: String,
    /// The id that `soloist task enqueue` printed
    id: String,
}

/// Asks a host, and prints its response.
pub(super) async fn main(args: TaskArgs) -> Result<(), ExitError> {
    let TaskArgs { list: all, host, command } = args;
    let client = host.client()?;
    match command.unwrap_or(TaskCommand::List(TaskListArgs { json: false })) {
        TaskCommand::List(TaskListArgs { json }) if json || all.json => {
            say_json(&of_tasks(&client, Method::GET, &[]).send(STORE_PATIENCE).await?.text()?);
        }
        TaskCommand::List(_) => say(&show(&list(&client).await?, Paint::stdout())),
        TaskCommand::Call(args) => call::call(&client, args).await?,
        TaskCommand::Enqueue(args) => call::enqueue(&client, args).await?,
        TaskCommand::Show(TaskShowArgs { task, id }) => {
            let asked = of_tasks(&client, Method::GET, &[&task, "queue", &id]);
            say_json(&pretty(&asked.send(STORE_PATIENCE).await?.json()?)?);
        }
        TaskCommand::DeadLetters(args) => dead_letters::main(&client, args).await?,
    }
    Ok(())
}

/// The tasks that a host knows.
pub(super) async fn list(client: &ApiClient) -> Result<Vec<TaskEntry>, ExitError> {
    of_tasks(client, Method::GET, &[]).send(STORE_PATIENCE).await?.json()
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
