//! An action as it is found in the plugins folder.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime},
};

use soloist_config::ActionConfig;

/// Much longer than the pause between two writes of one copy.
const WRITE_PAUSE: Duration = Duration::from_millis(50);

/// The settings of an action and the state of its file, as seen in the folder.
pub(super) type FolderVersion = (ActionConfig, Option<PluginFileStamp>);

/// Tells versions of a file apart without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PluginFileStamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl PluginFileStamp {
    pub(super) fn of(file: &Path) -> Option<Self> {
        let file = fs::metadata(file).ok()?;
        Some(Self { modified: file.modified().ok(), length: file.len(), inode: file.ino() })
    }

    /// Whether the file was written to a moment ago and may be incomplete. Another scan will
    /// follow.
    pub(super) fn is_just_written(&self) -> bool {
        let age = self.modified.and_then(|modified| modified.elapsed().ok());
        age.is_some_and(|age| age < WRITE_PAUSE)
    }
}
