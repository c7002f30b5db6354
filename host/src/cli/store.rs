//! `soloist store`: what an operator does to the store itself. It needs no running host.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{
    ExitError,
    backup::{CopyArgs, copy},
    runtime::in_runtime,
    settings_args::SettingsArgs,
    terminal::say,
};
use soloist_config::Config;
use soloist_heart::FencingToken;
use soloist_stores::{self as store, StoreError};

/// Move the cluster to another store, or have a store go on above the fencing tokens of before
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist store copy sqlite:soloist.db postgres://db.internal/soloist
  soloist store raise-tokens --above 1795941877")]
pub(super) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    Copy(CopyArgs),
    RaiseTokens(RaiseTokensArgs),
}

/// Make every later fencing token exceed a certain one
///
/// For a store that was restored or replaced while no host ran that remembers how far fencing tokens
/// had come; hosts that remember do this by themselves. All terms end, and nobody leads for one
/// `lease.ttl`, so that every lease that the store may have forgotten has run out. If all fencing
/// tokens are higher already, nothing changes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist store raise-tokens --above 1795941877
  soloist store raise-tokens --above 60311 --config /etc/soloist/soloist.toml")]
struct RaiseTokensArgs {
    /// The highest fencing token that was given out, or any higher number
    #[arg(long, value_name = "TOKEN", value_parser = clap::value_parser!(i64).range(0..=HIGHEST))]
    above: i64,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// What JSON and metrics represent exactly (RFC 8259 §6: numbers are doubles to most readers), with
/// room for all fencing tokens that follow.
const HIGHEST: i64 = 1 << 52;

pub(super) fn main(args: StoreArgs) -> Result<ExitCode, ExitError> {
    match args.command {
        StoreCommand::Copy(args) => in_runtime(copy(args)),
        StoreCommand::RaiseTokens(args) => {
            let config = Config::load(&args.settings.overrides())?;
            in_runtime(raise_tokens(args.above, config))
        }
    }
}

async fn raise_tokens(above: i64, config: Config) -> Result<(), ExitError> {
    let within = config.timings.request_timeout;
    let failed = |error: StoreError| {
        ExitError::unavailable("the fencing tokens are not raised")
            .with_causes_of(&error)
            .help("run this again when the store can be reached and written: it is safe to repeat")
    };
    let store = store::open(&config.store, &config.cluster, within).map_err(failed)?;
    store.raise_tokens(FencingToken(above), config.timings.ttl).await.map_err(failed)?;
    let ttl = humantime::format_duration(config.timings.ttl);
    say(&format!(
        "fencing tokens exceed {above} from now on; if that took a change, nobody leads for {ttl}\n"
    ));
    Ok(())
}
