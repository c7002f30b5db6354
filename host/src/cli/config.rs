//! `soloist config`: checks and describes the settings without running a host.

mod migrate;

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use self::migrate::MigrateArgs;
use super::{
    ExitError,
    settings_args::SettingsArgs,
    terminal::{complain, say, say_json},
};
use crate::action::Action;
use soloist_config::{
    self as config, ActionConfig, Config, JobConfig, Kinds, PluginMismatch, ZonedMoment, moment,
};
use soloist_jobs::upcoming_runs;
use soloist_text::with_causes;

/// Check the settings, rewrite old names in them, or print their schema for an editor
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist config check
  soloist config schema > soloist.schema.json")]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    Check(Box<CheckArgs>),
    Migrate(MigrateArgs),
    Schema(SchemaArgs),
}

/// Check the settings as `soloist run` does, and print everything that is wrong with them
///
/// It prints `ok:` with the host's name and its actions, and for each job its next run; and it
/// warns of settings that have no effect. The exit code is 78 if anything is wrong.
///
/// It is stricter than the start of a host, which goes on without the files in the plugins folder
/// that make no action. It looks only at what plugins export; `soloist plugin inspect` says whether
/// a plugin can be loaded. Secrets need not be there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist config check
  soloist config check /etc/soloist/soloist.toml --name a")]
struct CheckArgs {
    /// The settings file [default: the one of --config, or soloist.toml]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Print the JSON Schema of soloist.toml, for an editor
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist config schema > soloist.schema.json
  soloist config schema --action > action.schema.json")]
struct SchemaArgs {
    /// Print the schema of NAME.toml in the plugins folder instead
    #[arg(long)]
    action: bool,
}

/// Runs the subcommand.
pub(super) fn main(args: ConfigArgs) -> Result<(), ExitError> {
    match args.command {
        ConfigCommand::Check(args) => check(*args),
        ConfigCommand::Migrate(args) => migrate::main(&args),
        ConfigCommand::Schema(args) => schema(&args),
    }
}

fn check(args: CheckArgs) -> Result<(), ExitError> {
    let mut overrides = args.settings.overrides();
    overrides.config = args.file.or(overrides.config);
    overrides.without_secrets = true;
    overrides.all_or_none = true;
    overrides.plugin_check = Some(look);
    let config = Config::load(&overrides)?;
    let Config { cluster, host, store, actions, warnings: remarks, .. } = &config;
    if !remarks.is_empty() {
        complain(&remarks.join("\n"));
    }
    let names: Vec<_> = actions.iter().map(|action| &*action.name).collect();
    let names = if names.is_empty() { "no actions yet".to_owned() } else { names.join(", ") };
    say(&format!("ok: host {} of cluster {cluster}, store {store}: {names}\n", host.name));
    let now = std::time::SystemTime::now().into();
    for (action, job) in actions.iter().filter_map(|it| Some((it, it.job.as_ref()?))) {
        say(&format!("{}\n", fires(action, job, now)));
    }
    Ok(())
}

/// The kinds that an action would run as, or why a host would refuse it.
fn look(action: &ActionConfig) -> Result<Kinds, PluginMismatch> {
    Action::inspect_kinds(action)
        .map_err(|error| PluginMismatch { why: with_causes(&error), key: error.key() })
}

/// When a job fires next, as local time of its zone and in UTC.
fn fires(action: &ActionConfig, job: &JobConfig, now: DateTime<Utc>) -> String {
    let (name, schedule) = (&action.name, &job.schedule);
    let what = format!("job {name}: {schedule}");
    if !schedule.fires() {
        return format!("{what}; runs on request only");
    }
    let Some(next) = upcoming_runs(name, job, None, now).next() else {
        let last = schedule.before(now).map(moment).unwrap_or_default();
        return format!(
            "{what}; never fires again, the last time was {last}: change its year, or drop it"
        );
    };
    let (at, zone) = (next.run.scheduled, schedule.zone());
    let shown = ZonedMoment(at, zone);
    let remark =
        schedule.remark(at, zone).map_or_else(String::new, |remark| format!(" ({remark})"));
    format!("{what}; next {shown}, {}{remark}", moment(at))
}

fn schema(args: &SchemaArgs) -> Result<(), ExitError> {
    let schema = if args.action { config::action_schema() } else { config::settings_schema() };
    say_json(&format!("{schema:#}\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_run_of_a_job_is_told() {
        let told = |schedule: &str, now: &str| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("plugins")).unwrap();
            std::fs::write(folder.path().join("plugins/report.wasm"), "").unwrap();
            let file = folder.path().join("soloist.toml");
            std::fs::write(&file, format!("[action.report]\n{schedule}\n")).unwrap();
            let name = Some("a".to_owned());
            let overrides = config::Overrides { config: Some(file), name, ..Default::default() };
            let config = Config::load(&overrides).unwrap();
            let action = &config.actions[0];
            fires(action, action.job.as_ref().unwrap(), now.parse().unwrap())
        };
        let berlin = "schedule = \"30 2 * * *\"\ntime_zone = \"Europe/Berlin\"";
        assert_eq!(
            told(berlin, "2026-03-28T12:00:00Z"),
            "job report: 30 2 * * * Europe/Berlin; next Sun 2026-03-29 03:00:00 +02:00, \
             2026-03-29T01:00:00Z (the clock is set from 02:00 forwards to 03:00, which leaves \
             02:30 out: fires at 03:00 instead)"
        );
        assert_eq!(
            told("schedule = \"0 0 0 1 1 * 2020\"", "2026-01-01T00:00:00Z"),
            "job report: 0 0 0 1 1 * 2020; never fires again, the last time was \
             2020-01-01T00:00:00Z: change its year, or drop it"
        );
        let none = told("schedule = \"none\"", "2026-01-01T00:00:00Z");
        assert_eq!(none, "job report: none; runs on request only");
    }
}
