//! A queued call of a backup, as a row of the tables of SQLite and PostgreSQL.

use super::record::CallStage;
use crate::queued_call::{
    QueuedCallHeader,
    state_names::{DEAD, DONE, QUEUED},
};

/// The columns that depend on how far a queued call has come.
pub(crate) struct CallRow<'a> {
    pub(crate) state: &'static str,
    /// When it came to this state.
    pub(crate) at: u64,
    pub(crate) head: &'a QueuedCallHeader,
    pub(crate) payload: Option<&'a [u8]>,
    pub(crate) answer: Option<&'a [u8]>,
    pub(crate) answer_type: Option<&'a str>,
    /// For how many seconds the answer is kept, if there is one.
    pub(crate) keep_s: Option<u64>,
}

impl CallStage {
    pub(crate) fn row(&self) -> CallRow<'_> {
        let (state, at, head) = match self {
            Self::Waiting { head, .. } => (QUEUED, head.queued, head),
            Self::Dead { ended, .. } => (DEAD, ended.at, &ended.head),
            Self::Done { ended, .. } => (DONE, ended.at, &ended.head),
        };
        let row = CallRow {
            state,
            at,
            head,
            payload: None,
            answer: None,
            answer_type: None,
            keep_s: None,
        };
        match self {
            Self::Waiting { payload, .. } | Self::Dead { payload, .. } => {
                CallRow { payload: Some(payload), ..row }
            }
            Self::Done { answer, content_type, keep_s, .. } => CallRow {
                answer: Some(answer),
                answer_type: content_type.as_deref(),
                keep_s: Some(*keep_s),
                ..row
            },
        }
    }
}
