//! `soloist plugin inspect`: what a plugin is, and whether this host can run it.

mod report;
mod show;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{plugin_folder, unreadable::unreadable};
use crate::cli::{
    ExitError, ExitKind,
    terminal::{Paint, say, say_json},
};
use report::{InspectReport, InspectedSettings};
use soloist_guests::plugin::{Inspection, PluginEngine};

/// Show what a plugin is, what it imports, and whether this host can run it
///
/// Nothing of the plugin runs. Its settings (NAME.toml, next to it or in the working folder) are
/// checked as well. The exit code is 1 for a plugin that this host cannot run, 65 for a file that
/// is no plugin.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist plugin inspect hello.wasm
  soloist plugin inspect hello.wasm --json")]
pub(crate) struct InspectArgs {
    /// The plugin: a component, or a core module for WASI preview 1
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Inspects the plugin, and prints the report.
pub(crate) fn main(args: &InspectArgs) -> Result<ExitCode, ExitError> {
    let engine = PluginEngine::for_this_program(None)
        .map_err(|error| ExitError::broken(&error).with_causes_of(&error))?;
    let inspection = Inspection::of(&engine, &args.file).map_err(|error| unreadable(&error))?;
    let mut report = InspectReport::of(&args.file.display().to_string(), &inspection);
    if report.runs && !report.strategy {
        report.settings = plugin_folder::settings_file(&args.file)
            .map(|it| InspectedSettings::of(&it, &args.file));
        report.runs = report.settings.as_ref().is_none_or(|settings| settings.wrong.is_none());
    }
    if args.json {
        let text = serde_json::to_string_pretty(&report);
        let failed = |error| ExitError::internal("cannot write JSON", &error);
        say_json(&(text.map_err(failed)? + "\n"));
    } else {
        say(&show::text(&report, Paint::stdout()));
    }
    Ok(match &inspection.verdict {
        _ if report.runs => ExitKind::Ok,
        Err(error) if error.is_no_plugin() => ExitKind::Data,
        _ => ExitKind::Failed,
    }
    .into())
}
