//! `soloist task dead-letters`: the queued calls that failed for good.

use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;

use super::requests::{of_tasks, pretty};
use crate::{
    api::DeadLetterCount,
    cli::{
        ExitError,
        api_client::{ApiClient, STORE_PATIENCE},
        terminal::{Paint, say, say_json},
        text_table::{TableCell, TextTable},
    },
};

/// How many dead letters are listed at most.
const LETTERS: usize = 1000;

/// List, retry or delete queued calls that failed for good
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist task dead-letters list resize
  soloist task dead-letters retry resize")]
pub(super) struct DeadLetterArgs {
    #[command(subcommand)]
    command: DeadLetterCommand,
}

#[derive(Debug, Subcommand)]
enum DeadLetterCommand {
    #[command(visible_alias = "ls")]
    List(DeadLetterListArgs),
    Retry(DeadLetterRetryArgs),
    #[command(visible_alias = "rm")]
    Delete(DeadLetterDeleteArgs),
}

/// List the dead letters of a task, and why each failed
///
/// At most 1000 are listed, the oldest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist task dead-letters list resize")]
struct DeadLetterListArgs {
    /// The task
    task: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Put dead letters back into the queue, with all their attempts
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist task dead-letters retry resize
  soloist task dead-letters retry resize 01jdxk4vq8")]
struct DeadLetterRetryArgs {
    /// The task
    task: String,
    /// The id of one of them [default: all]
    id: Option<String>,
}

/// Delete dead letters for good
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist task dead-letters delete resize 01jdxk4vq8
  soloist task dead-letters delete resize --all")]
struct DeadLetterDeleteArgs {
    /// The task
    task: String,
    /// The id of one of them
    #[arg(required_unless_present = "all")]
    id: Option<String>,
    /// Delete all of them
    #[arg(long, conflicts_with = "id")]
    all: bool,
}

/// Asks a host, and prints its response.
pub(super) async fn main(client: &ApiClient, args: DeadLetterArgs) -> Result<(), ExitError> {
    match args.command {
        DeadLetterCommand::List(args) => list(client, &args).await,
        DeadLetterCommand::Retry(DeadLetterRetryArgs { task, id }) => {
            change(client, Method::POST, &task, id, "in the queue again").await
        }
        DeadLetterCommand::Delete(DeadLetterDeleteArgs { task, id, .. }) => {
            change(client, Method::DELETE, &task, id, "deleted").await
        }
    }
}

async fn list(client: &ApiClient, args: &DeadLetterListArgs) -> Result<(), ExitError> {
    let letters = of_tasks(client, Method::GET, &[&args.task, "dead-letters"]);
    let letters = letters.option("limit", &LETTERS.to_string());
    let letters: Vec<Value> = letters.send(STORE_PATIENCE).await?.json()?;
    if args.json {
        say_json(&pretty(&letters.into())?);
    } else {
        say(&show(&args.task, &letters));
    }
    Ok(())
}

/// Retries or deletes dead letters, and prints how many.
async fn change(
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
    let changed: DeadLetterCount = letters.send(STORE_PATIENCE).await?.json()?;
    say(&format!("{} {done}\n", changed.count));
    Ok(())
}

fn show(task: &str, letters: &[Value]) -> String {
    if letters.is_empty() {
        return format!("no dead letters of {task}\n");
    }
    let mut table = TextTable::new(["ID", "FAILED AT", "ATTEMPTS", "ERROR"]);
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
