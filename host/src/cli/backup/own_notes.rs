//! The notes that a command itself writes while it works. They are no part of what is kept.

use std::collections::BTreeSet;

use soloist_stores::{BackupRecord, NoteTopic};

/// The topics of those notes.
#[derive(Clone, Debug)]
pub(super) struct OwnNotes(BTreeSet<NoteTopic>);

impl OwnNotes {
    /// Every command pauses the cluster that it works on.
    pub(super) fn pause() -> Self {
        Self([NoteTopic::Pause(None)].into())
    }

    pub(super) fn insert(&mut self, topic: NoteTopic) {
        self.0.insert(topic);
    }

    /// Whether `record` is about such a topic.
    pub(super) fn has(&self, record: &BackupRecord) -> bool {
        record.note_topic().is_some_and(|topic| self.0.contains(&topic))
    }
}
