//! Writes the files of a project.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::error::ScaffoldError;

/// A file of a project: its path below the project's folder, and its content.
pub(super) type ProjectFile = (PathBuf, Vec<u8>);

pub(super) fn put(folder: &Path, files: Vec<ProjectFile>) -> Result<(), ScaffoldError> {
    for (path, bytes) in files {
        let path = folder.join(path);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.and_then(|()| fs::write(&path, bytes))
            .map_err(|source| ScaffoldError::Write { path, source })?;
    }
    Ok(())
}
