//! `soloist config migrate`: renames the settings of a file that have old names.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{
    ExitError,
    terminal::{sanitize, say},
};
use soloist_config::Migration;

/// Rewrite a settings file that has old names, in place
///
/// It renames the settings, and changes values whose meaning changed with the name. Comments and
/// order stay. A line for each setting says what has changed. A file that is no TOML, or that has
/// a setting under both names, is left as it is. A symbolic link stays one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist config migrate soloist.toml
  soloist config migrate --check plugins/report.toml")]
pub(super) struct MigrateArgs {
    /// The settings file: soloist.toml, or NAME.toml of the plugins folder
    #[arg(default_value = "soloist.toml")]
    file: PathBuf,
    /// Write nothing; exit with code 1 if there is something to change
    #[arg(long)]
    check: bool,
}

/// Runs the subcommand.
pub(super) fn main(args: &MigrateArgs) -> Result<(), ExitError> {
    let Migration { changes, .. } = soloist_config::migrate(&args.file, !args.check)?;
    for change in &changes {
        say(&format!("{}\n", sanitize(change)));
    }
    let file = sanitize(&args.file.display().to_string());
    let settings = match changes.len() {
        0 => {
            say(&format!("{file} has no old names: nothing to change\n"));
            return Ok(());
        }
        1 => "1 setting".to_owned(),
        count => format!("{count} settings"),
    };
    if args.check {
        let problem = format!("{settings} of {file} would change");
        return Err(ExitError::failed(problem)
            .help(format!("run `soloist config migrate {file}` to change the file")));
    }
    say(&format!("{settings} of {file} changed: check it with `soloist config check`\n"));
    Ok(())
}
