//! `soloist config`: the settings, without a host.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{
    ExitError,
    settings::SettingsArgs,
    terminal::{say, say_json},
};
use crate::{
    action::Action,
    config::{self, Config},
    plugin::Kind,
    words::with_causes,
};

/// Check the settings, or print their schema for an editor
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(Box<CheckArgs>),
    Schema(SchemaArgs),
}

/// Check the settings as `soloist run` would, and tell all that is wrong with them
///
/// That is more than what keeps a host from starting: it goes on without what the
/// plugins folder holds that makes no action. Of the plugins it is looked at what they export;
/// whether they can be loaded is for `soloist plugin inspect`. Secrets need not be there.
#[derive(Debug, Args)]
struct CheckArgs {
    /// The settings file [default: that of --config, or soloist.toml]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Print the JSON Schema of soloist.toml
#[derive(Debug, Args)]
struct SchemaArgs {
    /// That of NAME.toml in the plugins folder
    #[arg(long)]
    action: bool,
}

/// Does what is asked for.
pub(super) fn main(args: ConfigArgs) -> Result<(), ExitError> {
    match args.command {
        Command::Check(args) => check(*args),
        Command::Schema(args) => schema(&args),
    }
}

fn check(args: CheckArgs) -> Result<(), ExitError> {
    let mut overrides = args.settings.overrides();
    overrides.config = args.file.or(overrides.config);
    overrides.without_secrets = true;
    let config = Config::load(&overrides)?.complete()?;
    together(&config)?;
    let Config { cluster, host, store, actions, .. } = &config;
    let names: Vec<_> = actions.iter().map(|action| &*action.name).collect();
    let names = if names.is_empty() { "no actions yet".to_owned() } else { names.join(", ") };
    say(&format!("host {} of cluster {cluster}, store {store}: {names}\n", host.name));
    Ok(())
}

/// Refuses what a host would, once it knows what its plugins are: what cannot be run as it is
/// wanted, and what cannot answer beside another.
fn together(config: &Config) -> Result<(), ExitError> {
    let mut problems = String::new();
    let mut http = Vec::new();
    for action in &config.actions {
        match Action::glance(action) {
            Ok(kinds) if kinds.has(Kind::Http) => http.push(action),
            Ok(_) => {}
            Err(error) => problems += &format!("error: {}\n", with_causes(&error)),
        }
    }
    for clash in config::clashes(http.iter().copied()) {
        problems += &format!("error: {clash}\n");
    }
    let problems = problems.strip_prefix("error: ").map(str::trim_end);
    problems.map_or(Ok(()), |problems| Err(ExitError::usage(problems)))
}

fn schema(args: &SchemaArgs) -> Result<(), ExitError> {
    let schema = if args.action { config::action_schema() } else { config::settings_schema() };
    say_json(&format!("{schema:#}\n"));
    Ok(())
}
