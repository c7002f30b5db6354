//! `soloist plugin example`: writes the plugin that is part of this program.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;

use crate::cli::{
    ExitError, ExitKind,
    embedded_plugin::{self, BYTES, FILE},
    terminal::say,
};

/// Write a plugin that is part of this program, to try a cluster without building one
///
/// The plugin answers HTTP requests with the name of the host that leads. No other file is
/// overwritten.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist plugin example
  soloist plugin example /etc/soloist/plugins")]
pub(super) struct PluginExampleArgs {
    /// The folder to write it into, which is made if it is not there
    #[arg(value_name = "DIR", default_value = "plugins")]
    folder: PathBuf,
}

/// Writes it, and says what it does.
pub(super) fn main(args: &PluginExampleArgs) -> Result<ExitCode, ExitError> {
    let place = args.folder.join(FILE);
    let shown = place.display();
    match fs::create_dir_all(&args.folder).and_then(|()| embedded_plugin::write(&args.folder)) {
        Ok(()) => {
            say(&format!("wrote {shown}, which answers HTTP requests with its host's name\n"))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && holds_it(&place) => {
            say(&format!("{shown} is there already\n"));
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(ExitError::refused(format!(
                "{shown} is there already, and is another file"
            ))
            .help("remove it, or name another folder"));
        }
        Err(error) => {
            return Err(ExitError::of_file(format!("cannot write {shown}"), &error)
                .help("name a folder that this user may write to"));
        }
    }
    Ok(ExitKind::Ok.into())
}

/// Whether the file at `place` is the plugin.
fn holds_it(place: &Path) -> bool {
    fs::read(place).is_ok_and(|there| there == BYTES)
}
