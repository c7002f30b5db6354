//! The records of a backup: each is one thing that a cluster keeps, without its store's layout.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{base64_bytes, kind::BackupKind};
use crate::{
    note::NoteTopic,
    queued_call::{EndedQueuedCall, QueuedCallHeader, QueuedCallKey},
};

/// One thing that a cluster keeps. Its JSON is a line of a backup file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupRecord {
    /// A value of an action's state.
    State(StateRecord),
    /// What hosts have recorded about an action's jobs.
    Ledger(StateRecord),
    /// A queued call.
    Call(Box<CallRecord>),
    /// A note.
    Note(NoteRecord),
}

/// A key and its value. Versions are not kept: those of another store mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRecord {
    /// The action's name.
    pub action: String,
    /// The key.
    pub key: String,
    /// The value.
    #[serde(with = "base64_bytes")]
    pub value: Bytes,
}

/// A note, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteRecord {
    /// The note's name in the store.
    pub name: String,
    /// Its JSON.
    #[serde(with = "base64_bytes")]
    pub value: Bytes,
}

/// A queued call with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The task that it calls.
    pub task: String,
    /// Its id.
    pub id: String,
    /// How far it has come.
    pub stage: CallStage,
}

/// How far a queued call has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStage {
    /// It waits to be claimed.
    Waiting {
        /// Its state.
        head: QueuedCallHeader,
        /// The payload for the task.
        #[serde(with = "base64_bytes")]
        payload: Bytes,
    },
    /// It is a dead letter.
    Dead {
        /// Its last state.
        ended: EndedQueuedCall,
        /// The payload for the task, should it be retried.
        #[serde(with = "base64_bytes")]
        payload: Bytes,
    },
    /// It is done.
    Done {
        /// Its last state.
        ended: EndedQueuedCall,
        /// The answer's payload.
        #[serde(with = "base64_bytes")]
        answer: Bytes,
        /// The content type of the answer, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
        /// For how many seconds the answer is kept.
        keep_s: u64,
    },
}

impl BackupRecord {
    /// What kind of thing it is.
    #[must_use]
    pub fn kind(&self) -> BackupKind {
        match self {
            Self::State(_) => BackupKind::State,
            Self::Ledger(_) => BackupKind::Ledger,
            Self::Note(_) => BackupKind::Note,
            Self::Call(call) => match call.stage {
                CallStage::Waiting { .. } => BackupKind::Waiting,
                CallStage::Dead { .. } => BackupKind::Dead,
                CallStage::Done { .. } => BackupKind::Answer,
            },
        }
    }

    /// About how many bytes it takes in memory and in a request.
    #[must_use]
    pub fn size(&self) -> usize {
        /// For names, numbers and errors.
        const REST: usize = 256;
        REST + match self {
            Self::State(entry) | Self::Ledger(entry) => entry.key.len() + entry.value.len(),
            Self::Note(note) => note.value.len(),
            Self::Call(call) => match &call.stage {
                CallStage::Waiting { head, payload } => payload.len() + error_length(head),
                CallStage::Dead { ended, payload } => payload.len() + error_length(&ended.head),
                CallStage::Done { ended, answer, .. } => answer.len() + error_length(&ended.head),
            },
        }
    }

    /// What the note is about, if it is one that soloist knows.
    #[must_use]
    pub fn note_topic(&self) -> Option<NoteTopic> {
        let Self::Note(note) = self else { return None };
        NoteTopic::parse(&note.name)
    }
}

impl CallRecord {
    /// The record of the queued call `key`.
    pub(crate) fn new(key: &QueuedCallKey, stage: CallStage) -> Self {
        Self { task: key.task.to_string(), id: key.id.to_string(), stage }
    }

    /// The queued call's key.
    #[must_use]
    pub fn key(&self) -> QueuedCallKey {
        QueuedCallKey::new(&*self.task, &*self.id)
    }
}

fn error_length(head: &QueuedCallHeader) -> usize {
    head.error.as_ref().map_or(0, String::len)
}
