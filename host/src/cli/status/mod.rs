//! `soloist status`: what a host says of its cluster.

mod show;

use std::{
    io::IsTerminal,
    time::{Duration, SystemTime},
};

use clap::Args;

use super::{
    ExitError,
    client::{Client, HostArgs},
    terminal::{Paint, say},
};

const WATCH_EVERY: Duration = Duration::from_secs(1);

const CLEAR: &str = "\x1b[2J";
const HOME: &str = "\x1b[H";
const CLEAR_LINE_END: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Show who leads, who is there, and what runs
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    host: HostArgs,
    /// Show it again each second
    #[arg(long)]
    watch: bool,
    /// Print the answer as it is
    #[arg(long)]
    json: bool,
    /// Ask only whether its process serves; the exit code tells, for health checks
    #[arg(long, conflicts_with_all = ["ready", "watch", "json"])]
    live: bool,
    /// Ask only whether it could lead
    #[arg(long, conflicts_with_all = ["watch", "json"])]
    ready: bool,
}

/// Asks once, or each second until Ctrl-C.
pub(super) async fn main(args: StatusArgs) -> Result<(), ExitError> {
    let client = args.host.client()?;
    if args.live || args.ready {
        return client.well(if args.live { "livez" } else { "readyz" }).await;
    }
    if !args.watch {
        say(&render(&client, args.json).await?);
        return Ok(());
    }
    tokio::select! {
        () = watch(&client, &args) => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn watch(client: &Client, args: &StatusArgs) {
    let in_place = std::io::stdout().is_terminal() && !args.json;
    if in_place {
        say(CLEAR);
    }
    let mut ticks = tokio::time::interval(WATCH_EVERY);
    loop {
        ticks.tick().await;
        match render(client, args.json).await {
            Ok(text) if in_place => say(&over_the_last(&text)),
            Ok(text) => say(&text),
            Err(error) if in_place => say(&over_the_last(&format!("{error}asking again …\n"))),
            Err(error) => super::terminal::complain(&error.to_string()),
        }
    }
}

/// `text` drawn over what stands on the screen, without a flicker.
fn over_the_last(text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("{line}{CLEAR_LINE_END}\n")).collect();
    format!("{HOME}{lines}{CLEAR_BELOW}")
}

async fn render(client: &Client, json: bool) -> Result<String, ExitError> {
    if json {
        return client.status_as_it_is().await;
    }
    let status = client.status().await?;
    Ok(show::status(&status, SystemTime::now(), Paint::stdout()))
}
