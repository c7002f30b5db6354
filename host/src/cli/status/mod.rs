//! `soloist status`: the status of a host and its cluster.

mod show;

use std::{
    io::IsTerminal,
    time::{Duration, SystemTime},
};

use clap::Args;

use super::{
    ExitError,
    api_client::{ApiClient, HostArgs},
    terminal::{self, Paint, redraw, say, say_json},
};

const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Show the cluster: groups and their leaders, hosts, and actions
///
/// With --live or --ready it is a health check: the exit code is 0 or 1, and 69 if the host does
/// not answer.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist status
  soloist status --watch --url http://a:4000,http://b:4000
  soloist status --ready")]
pub(super) struct StatusArgs {
    /// Show it again every second
    #[arg(long)]
    watch: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Check only whether the process serves
    #[arg(long, conflicts_with_all = ["ready", "watch", "json"])]
    live: bool,
    /// Check only whether the host is ready, and could lead
    #[arg(long, conflicts_with_all = ["watch", "json"])]
    ready: bool,
    // Last: its heading would also stand above what follows.
    #[command(flatten)]
    host: HostArgs,
}

/// Asks once, or every second until Ctrl-C.
pub(super) async fn main(args: StatusArgs) -> Result<(), ExitError> {
    let client = args.host.client()?;
    if args.live || args.ready {
        return client.check_probe(if args.live { "livez" } else { "readyz" }).await;
    }
    if !args.watch {
        tell(&render(&client, args.json).await?, args.json);
        return Ok(());
    }
    tokio::select! {
        () = watch(&client, &args) => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn watch(client: &ApiClient, args: &StatusArgs) {
    let in_place = std::io::stdout().is_terminal() && !args.json;
    if in_place {
        terminal::clear();
    }
    let mut ticks = tokio::time::interval(WATCH_EVERY);
    loop {
        ticks.tick().await;
        match render(client, args.json).await {
            Ok(text) if in_place => redraw(&text),
            Ok(text) => tell(&text, args.json),
            Err(error) if in_place => redraw(&format!("{error}asking again …\n")),
            Err(error) => terminal::complain(&error.to_string()),
        }
    }
}

fn tell(text: &str, json: bool) {
    if json { say_json(text) } else { say(text) }
}

async fn render(client: &ApiClient, json: bool) -> Result<String, ExitError> {
    if json {
        return client.status_text().await;
    }
    let status = client.status().await?;
    Ok(show::status(&status, SystemTime::now(), Paint::stdout()))
}
