//! Writing what was made.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::error::ScaffoldError;

/// One file of a project: where it is, below the project's folder, and what is in it.
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
