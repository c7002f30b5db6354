//! The operations on queued calls for people and programs, on any host: enqueue, look up, list,
//! replay and purge dead letters.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::sync::watch;

use super::CallQueueSettingsByTask;
use soloist_stores::{
    CONTENT_TYPE_MAX, CallQueueStore, EndedQueuedCall, QueuedCallHeader, QueuedCallKey,
    QueuedCallRequest, QueuedCallResult, QueuedCallState, StoreError, is_content_type,
    retry_transient,
};
use soloist_telemetry::measure;
use soloist_text::with_causes;

/// How many dead letters are replayed concurrently.
const AT_A_TIME: usize = 16;
/// How many dead letters are read from the store at a time.
const PAGE: usize = 500;

/// Puts queued calls into the queue, and looks after them.
pub struct CallQueueService {
    /// The queue in the store.
    pub call_queue: Arc<dyn CallQueueStore>,
    /// The tasks of the programme, whether this host runs them or not.
    pub tasks: watch::Receiver<CallQueueSettingsByTask>,
}

/// A queued call as the control API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueuedCallEntry {
    /// The id, unique within its task.
    pub id: Arc<str>,
    /// The task that it calls.
    pub task: Arc<str>,
    /// `queued`, `claimed`, `done` or `dead`.
    pub state: &'static str,
    /// Its attempts, times and last error.
    #[serde(flatten)]
    pub head: QueuedCallHeader,
    /// When it was done or became a dead letter, in milliseconds of Unix time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
}

/// Why an operation failed, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct CallQueueError {
    /// The kind, which decides the status code.
    pub kind: CallQueueErrorKind,
    /// What is wrong, as a text for people.
    pub error: String,
    /// What people can do about it.
    pub help: String,
}

/// Why an operation on queued calls failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallQueueErrorKind {
    /// The request is malformed.
    Invalid,
    /// There is no such task or queued call.
    NotFound,
    /// The payload is too long.
    TooLong,
    /// The queue of the task is full.
    QueueFull,
    /// The store refuses this host.
    Refused,
    /// The store does not answer.
    Unavailable,
}

impl CallQueueErrorKind {
    /// The status code in the control API (RFC 9110, section 15; RFC 6585, section 4).
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::NotFound => 404,
            Self::TooLong => 413,
            Self::QueueFull => 429,
            Self::Refused => 502,
            Self::Unavailable => 503,
        }
    }
}

impl CallQueueService {
    /// Puts a queued call into the queue, and returns its key. It is in the store then, and will be
    /// done at least once.
    ///
    /// # Errors
    /// See [`CallQueueErrorKind`]. If the store does not answer, the queued call may be in the
    /// queue.
    pub async fn enqueue(
        &self,
        task: &str,
        payload: Bytes,
        content_type: Option<String>,
    ) -> Result<QueuedCallKey, CallQueueError> {
        let tasks = self.tasks.borrow().clone();
        let Some(terms) = tasks.get(task) else { return Err(no_task(task, &tasks)) };
        if payload.len() > terms.max_payload {
            let (length, most) = (payload.len(), terms.max_payload);
            return Err(CallQueueError::new(
                CallQueueErrorKind::TooLong,
                format!("a payload of {length} bytes: {task} takes {most} at most"),
                "store the data elsewhere and enqueue a reference to it, or raise \
                 `max_payload_size` in the task's settings",
            ));
        }
        if content_type.as_deref().is_some_and(|form| !is_content_type(form)) {
            return Err(CallQueueError::new(
                CallQueueErrorKind::Invalid,
                format!(
                    "the content type is invalid: it has 1 to {CONTENT_TYPE_MAX} bytes of \
                     printable ASCII"
                ),
                "write one as in text/plain, or leave it out",
            ));
        }
        let key = QueuedCallKey::fresh(task);
        let order = QueuedCallRequest { payload, content_type, max_attempts: terms.max_attempts };
        // Repeating it is safe, since the id is fixed.
        let put = retry_transient(|| self.call_queue.put(&key, &order, terms.max_queued)).await;
        if put.is_ok() {
            measure::call_enqueued(&key.task);
        }
        put.map_err(|error| match error {
            StoreError::Limit(problem) => CallQueueError::new(
                CallQueueErrorKind::QueueFull,
                problem,
                "enqueue it again when some are done; or raise `max_queued_calls` in the task's settings",
            ),
            error if error.is_transient() => CallQueueError::new(
                CallQueueErrorKind::Unavailable,
                with_causes(&error),
                format!("ask for {key}: it may be in the queue; otherwise enqueue it again"),
            ),
            error => store_error(&error),
        })?;
        Ok(key)
    }

    /// The state of a queued call, and its answer when it is done.
    ///
    /// # Errors
    /// [`CallQueueErrorKind::NotFound`] if there is no such queued call, or its answer has expired.
    pub async fn find(
        &self,
        key: &QueuedCallKey,
    ) -> Result<(QueuedCallEntry, Option<QueuedCallResult>), CallQueueError> {
        let state = self.call_queue.state(key).await.map_err(|error| store_error(&error))?;
        let state = state.ok_or_else(|| {
            let error = format!("no queued call {key}");
            CallQueueError::new(
                CallQueueErrorKind::NotFound,
                error,
                "check the id; a result is kept for the task's `result_retention`",
            )
        })?;
        Ok(match state {
            QueuedCallState::Queued(head) => (QueuedCallEntry::of(key, "queued", head), None),
            QueuedCallState::Claimed(head) => (QueuedCallEntry::of(key, "claimed", head), None),
            QueuedCallState::Done(ended, answer) => {
                (QueuedCallEntry::ended(key, "done", ended), Some(answer))
            }
            QueuedCallState::Dead(ended) => (QueuedCallEntry::ended(key, "dead", ended), None),
        })
    }

    /// Up to `limit` dead letters of a task in the order of their ids, from the one after `after`.
    ///
    /// # Errors
    /// The store fails.
    pub async fn dead_letters(
        &self,
        task: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<QueuedCallEntry>, CallQueueError> {
        let dead = self
            .call_queue
            .dead_letters(task, after, limit)
            .await
            .map_err(|error| store_error(&error))?;
        Ok(dead
            .into_iter()
            .map(|(key, ended)| QueuedCallEntry::ended(&key, "dead", ended))
            .collect())
    }

    /// Puts one dead letter of a task back into the queue, or all that there are now, and returns
    /// how many.
    ///
    /// # Errors
    /// [`CallQueueErrorKind::NotFound`] if there is no dead letter with this id.
    pub async fn replay(&self, task: &str, id: Option<&str>) -> Result<usize, CallQueueError> {
        if let Some(id) = id {
            let key = QueuedCallKey::new(task, id);
            let was_there = self.replay_one(&key).await.map_err(|error| store_error(&error))?;
            return if was_there { Ok(1) } else { Err(no_dead_letter(&key)) };
        }
        // A queued call that fails again meanwhile comes before `after`, and is not replayed twice.
        let (mut replayed, mut after) = (0, None::<Arc<str>>);
        loop {
            let page = self.call_queue.dead_letters(task, after.as_deref(), PAGE).await;
            let page = page.map_err(|error| store_error(&error))?;
            let Some((last, _)) = page.last() else { return Ok(replayed) };
            after = Some(last.id.clone());
            let keys = stream::iter(page.into_iter().map(|(key, _)| key));
            let replays = keys.map(async |key| self.replay_one(&key).await);
            let replays = replays.buffer_unordered(AT_A_TIME);
            let count = async |count, was_there| Ok(count + usize::from(was_there));
            let count = replays.try_fold(0, count).await;
            replayed += count.map_err(|error: StoreError| store_error(&error))?;
        }
    }

    async fn replay_one(&self, key: &QueuedCallKey) -> Result<bool, StoreError> {
        let (was_there, again) = retry_transient(|| self.call_queue.replay(key)).await?;
        Ok(was_there || again)
    }

    /// Deletes one dead letter of a task for good, or all of them, and returns how many.
    ///
    /// # Errors
    /// [`CallQueueErrorKind::NotFound`] if there is no dead letter with this id.
    pub async fn purge(&self, task: &str, id: Option<&str>) -> Result<usize, CallQueueError> {
        let Some(id) = id else {
            return self.call_queue.purge_all(task).await.map_err(|error| store_error(&error));
        };
        let key = QueuedCallKey::new(task, id);
        // Here and in `replay_one`: after a repeated call (`again`) nothing may be left, since the
        // call whose answer was lost may have done it.
        let purged = retry_transient(|| self.call_queue.purge(&key))
            .await
            .map_err(|error| store_error(&error))?;
        let (was_there, again) = purged;
        if was_there || again { Ok(1) } else { Err(no_dead_letter(&key)) }
    }
}

impl QueuedCallEntry {
    fn of(key: &QueuedCallKey, state: &'static str, head: QueuedCallHeader) -> Self {
        Self { id: key.id.clone(), task: key.task.clone(), state, head, ended: None }
    }

    fn ended(
        key: &QueuedCallKey,
        state: &'static str,
        EndedQueuedCall { head, at }: EndedQueuedCall,
    ) -> Self {
        Self { ended: Some(at), ..Self::of(key, state, head) }
    }
}

impl CallQueueError {
    fn new(kind: CallQueueErrorKind, error: impl Into<String>, help: impl Into<String>) -> Self {
        Self { kind, error: error.into(), help: help.into() }
    }
}

fn no_task(task: &str, tasks: &CallQueueSettingsByTask) -> CallQueueError {
    let names: Vec<_> = tasks.keys().map(|name| &**name).collect();
    let help = if names.is_empty() {
        "put a plugin that exports soloist:plugin/task into the plugins folder".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    };
    CallQueueError::new(CallQueueErrorKind::NotFound, format!("no task {task}"), help)
}

fn no_dead_letter(key: &QueuedCallKey) -> CallQueueError {
    let help = format!("`soloist task dead-letters list {}` lists them", key.task);
    CallQueueError::new(CallQueueErrorKind::NotFound, format!("no dead letter {key}"), help)
}

fn store_error(error: &StoreError) -> CallQueueError {
    let (kind, help) = match error {
        StoreError::Unavailable { .. } => (
            CallQueueErrorKind::Unavailable,
            "try again; `soloist status` shows the state of the store",
        ),
        StoreError::Limit(_) => (CallQueueErrorKind::Invalid, "write a shorter one"),
        _ => (CallQueueErrorKind::Refused, "correct this, and try again"),
    };
    CallQueueError::new(kind, with_causes(error), help)
}
