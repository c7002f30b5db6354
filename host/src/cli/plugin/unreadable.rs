//! The error for a plugin file that cannot be read or used.

use std::io::ErrorKind;

use crate::cli::ExitError;
use soloist_guests::plugin::PluginError;

/// The error for a plugin file that cannot be read or used.
pub(super) fn unreadable(error: &PluginError) -> ExitError {
    let refused = match error {
        PluginError::Read { source, .. } if source.kind() == ErrorKind::NotFound => {
            ExitError::missing(error)
        }
        PluginError::Read { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            ExitError::denied(error)
        }
        _ => ExitError::data(error),
    };
    let refused = refused.with_causes_of(error);
    match error {
        PluginError::NotAFile { file } if file.is_dir() => {
            let folder = file.display();
            refused.help(format!("if it is the folder of a project: `cd {folder} && soloist dev`"))
        }
        _ => refused,
    }
}
