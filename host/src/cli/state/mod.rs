//! `soloist state`: what actions keep in the store.
//!
//! Any host can be asked about any action, whether it leads or not, and whether the action runs
//! there or not.

mod state_client;

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
};

use clap::{Args, Subcommand};

use self::state_client::StateClient;
use super::{
    ExitError,
    api_client::HostArgs,
    terminal::{confirm, hand_out, sanitize, say},
};
use soloist_stores::VALUE_MAX;

/// Read and change the state that actions keep in the store
///
/// Any host can be asked about any action, whether it leads or not, and whether the action runs
/// there or not.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist state list counter
  soloist state get counter total")]
pub(super) struct StateArgs {
    #[command(flatten)]
    host: HostArgs,
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Debug, Subcommand)]
enum StateCommand {
    #[command(visible_alias = "ls")]
    List(StateListArgs),
    Get(StateGetArgs),
    Set(StateSetArgs),
    #[command(visible_alias = "rm")]
    Delete(StateDeleteArgs),
}

/// List the keys of an action, one a line
///
/// Control characters are escaped. The exit code is 66 if there are no keys and the host knows no
/// such action.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist state list counter")]
struct StateListArgs {
    /// The action
    action: String,
}

/// Print a value unchanged, with nothing added
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist state get counter total
  soloist state get photos cover > cover.jpg")]
struct StateGetArgs {
    /// The action
    action: String,
    /// The key
    key: String,
}

/// Set a value, whether the key exists or not
///
/// No leadership guards this write: a running action may overwrite the value, and is not notified
/// of it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist state set counter total 17
  soloist state set photos cover --file cover.jpg")]
struct StateSetArgs {
    /// The action
    action: String,
    /// The key
    key: String,
    /// The value; `-` reads it from stdin
    #[arg(required_unless_present = "file")]
    value: Option<String>,
    /// The file that holds the value
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    file: Option<PathBuf>,
}

/// Delete keys
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist state delete counter total yesterday
  soloist state delete counter --all --yes")]
struct StateDeleteArgs {
    /// The action
    action: String,
    /// The keys
    #[arg(value_name = "KEY", required_unless_present = "all")]
    keys: Vec<String>,
    /// Delete all keys of the action
    #[arg(long, conflicts_with = "keys")]
    all: bool,
    /// Do not ask for confirmation
    #[arg(long, requires = "all")]
    yes: bool,
}

/// Asks a host, and prints its response.
pub(super) async fn main(args: StateArgs) -> Result<(), ExitError> {
    let client = StateClient::new(args.host.client()?);
    match args.command {
        StateCommand::List(StateListArgs { action }) => list(&client, &action).await,
        StateCommand::Get(StateGetArgs { action, key }) => {
            hand_out(&client.get(&action, &key).await?);
            Ok(())
        }
        StateCommand::Set(args) => client.set(&args.action, &args.key, args.read()?).await,
        StateCommand::Delete(args) if args.all => delete_all(&client, &args).await,
        StateCommand::Delete(args) => delete(&client, &args).await,
    }
}

async fn list(client: &StateClient, action: &str) -> Result<(), ExitError> {
    let mut after: Option<String> = None;
    loop {
        let page = client.list(action, after.as_deref()).await?;
        if page.keys.is_empty() && after.is_none() {
            return client.knows(action).await;
        }
        say(&page.keys.iter().map(|key| sanitize(key) + "\n").collect::<String>());
        match page.keys.into_iter().next_back() {
            Some(last) if page.more => after = Some(last),
            _ => return Ok(()),
        }
    }
}

/// Deletes the keys that exist, and then reports those that do not.
async fn delete(client: &StateClient, args: &StateDeleteArgs) -> Result<(), ExitError> {
    let mut missing = None;
    for key in &args.keys {
        match client.delete(&args.action, key).await {
            Err(error) if error.is_missing() => missing = missing.or(Some(error)),
            answer => answer?,
        }
    }
    missing.map_or(Ok(()), Err)
}

async fn delete_all(client: &StateClient, args: &StateDeleteArgs) -> Result<(), ExitError> {
    let action = &args.action;
    let question = format!("Delete all state of {}, in the whole cluster?", sanitize(action));
    if !args.yes {
        match confirm(&question) {
            Some(true) => {}
            Some(false) => return Err(ExitError::failed("nothing was deleted")),
            None => {
                return Err(ExitError::usage(
                    "this deletes all keys, and there is no terminal to confirm it",
                )
                .help("add --yes, or run it in a terminal"));
            }
        }
    }
    let deleted = client.delete_all(action).await?;
    say(&format!("deleted {deleted} {}\n", if deleted == 1 { "key" } else { "keys" }));
    Ok(())
}

impl StateSetArgs {
    /// The value from the source that the arguments name.
    fn read(&self) -> Result<Vec<u8>, ExitError> {
        match (&self.file, self.value.as_deref()) {
            (Some(path), _) => {
                let read = File::open(path).and_then(up_to_the_limit);
                read.map_err(|error| {
                    ExitError::of_file(format!("cannot read {}", path.display()), &error)
                })
            }
            (None, Some("-")) => up_to_the_limit(io::stdin().lock())
                .map_err(|error| ExitError::internal("cannot read stdin", &error)),
            (None, value) => Ok(value.unwrap_or_default().into()),
        }
    }
}

/// Reads one byte more than a value may have, which is enough for the host to refuse it.
fn up_to_the_limit(from: impl Read) -> io::Result<Vec<u8>> {
    let mut value = Vec::new();
    from.take(VALUE_MAX as u64 + 1).read_to_end(&mut value)?;
    Ok(value)
}
