//! Temporary folders of commands.

use std::io;

use tempfile::TempDir;

use super::ExitError;

/// Creates a folder whose name begins with `prefix`.
pub(super) fn folder(prefix: &str) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(prefix).tempdir()
}

/// The error when the folder for `purpose` could not be created.
pub(super) fn failed(purpose: &str, error: &io::Error) -> ExitError {
    ExitError::internal(format!("cannot set up a folder {purpose}"), error)
        .help("is there room in the folder for temporary files (TMPDIR)?")
}

/// Deletes `folder`.
pub(super) fn remove(folder: TempDir) -> Result<(), ExitError> {
    let path = folder.path().display().to_string();
    folder.close().map_err(|error| {
        ExitError::internal(format!("cannot remove {path}"), &error).help("remove it by hand")
    })
}
