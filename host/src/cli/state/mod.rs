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

/// Look at what actions keep in the store, and change it
#[derive(Debug, Args)]
pub(super) struct StateArgs {
    #[command(flatten)]
    host: HostArgs,
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Debug, Subcommand)]
enum StateCommand {
    Ls(LsArgs),
    Get(GetArgs),
    Put(PutArgs),
    Rm(RmArgs),
}

/// List the keys of an action, one a line, control characters escaped
///
/// Where nothing is kept for it and the host knows no such action, the exit code is 1.
#[derive(Debug, Args)]
struct LsArgs {
    /// The action
    action: String,
}

/// Print a value as it is, with nothing added
#[derive(Debug, Args)]
struct GetArgs {
    /// The action
    action: String,
    /// The key
    key: String,
}

/// Put a value, whether the key exists or not
///
/// No leadership guards this: a running action may overwrite it, and does not
/// learn of it.
#[derive(Debug, Args)]
struct PutArgs {
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

/// Remove keys
#[derive(Debug, Args)]
struct RmArgs {
    /// The action
    action: String,
    /// The keys
    #[arg(value_name = "KEY", required_unless_present = "all")]
    keys: Vec<String>,
    /// Remove all keys of the action
    #[arg(long, conflicts_with = "keys")]
    all: bool,
    /// Do not ask first
    #[arg(long, requires = "all")]
    yes: bool,
}

/// Asks a host, and prints its response.
pub(super) async fn main(args: StateArgs) -> Result<(), ExitError> {
    let client = StateClient::new(args.host.client()?);
    match args.command {
        StateCommand::Ls(LsArgs { action }) => list(&client, &action).await,
        StateCommand::Get(GetArgs { action, key }) => {
            hand_out(&client.get(&action, &key).await?);
            Ok(())
        }
        StateCommand::Put(args) => client.put(&args.action, &args.key, args.read()?).await,
        StateCommand::Rm(args) if args.all => remove_all(&client, &args).await,
        StateCommand::Rm(args) => remove(&client, &args).await,
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

/// Removes the keys that exist, and then reports those that do not.
async fn remove(client: &StateClient, args: &RmArgs) -> Result<(), ExitError> {
    let mut missing = None;
    for key in &args.keys {
        match client.remove(&args.action, key).await {
            Err(error) if error.is_missing() => missing = missing.or(Some(error)),
            answer => answer?,
        }
    }
    missing.map_or(Ok(()), Err)
}

async fn remove_all(client: &StateClient, args: &RmArgs) -> Result<(), ExitError> {
    let action = &args.action;
    let question = format!("Remove all that {} keeps, in the whole cluster?", sanitize(action));
    if !args.yes {
        match confirm(&question) {
            Some(true) => {}
            Some(false) => return Err(ExitError::usage("nothing was removed")),
            None => {
                return Err(ExitError::usage("this removes all keys, and nobody can be asked")
                    .help("say --yes, or run it in a terminal"));
            }
        }
    }
    let removed = client.remove_all(action).await?;
    say(&format!("removed {removed} {}\n", if removed == 1 { "key" } else { "keys" }));
    Ok(())
}

impl PutArgs {
    /// The value from the source that the arguments name.
    fn read(&self) -> Result<Vec<u8>, ExitError> {
        match (&self.file, self.value.as_deref()) {
            (Some(path), _) => {
                let read = File::open(path).and_then(up_to_the_limit);
                read.map_err(|error| {
                    ExitError::usage(format!("cannot read {}", path.display())).caused_by(&error)
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
