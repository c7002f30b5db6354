//! The operations on casts for people and programs, on any host: cast, look a cast up, and list,
//! replay and purge dead letters.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::sync::watch;

use super::CastSettingsByTask;
use soloist_stores::{
    CONTENT_TYPE_MAX, CastAnswer, CastHeader, CastKey, CastRequest, CastState, CastStore,
    EndedCast, StoreError, is_content_type, retry_transient,
};
use soloist_telemetry::measure;
use soloist_text::with_causes;

/// How many dead letters are replayed concurrently.
const AT_A_TIME: usize = 16;
/// How many dead letters are read from the store at a time.
const PAGE: usize = 500;

/// Puts casts into the queue, and looks after them.
pub struct CastService {
    /// The queue in the store.
    pub casts: Arc<dyn CastStore>,
    /// The tasks of the programme, whether this host runs them or not.
    pub tasks: watch::Receiver<CastSettingsByTask>,
}

/// A cast as the control API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CastEntry {
    /// The id, unique within its task.
    pub id: Arc<str>,
    /// The task that it calls.
    pub task: Arc<str>,
    /// `queued`, `claimed`, `done` or `dead`.
    pub state: &'static str,
    /// Its attempts, times and last error.
    #[serde(flatten)]
    pub head: CastHeader,
    /// When it was done or became a dead letter, in milliseconds of Unix time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
}

/// Why an operation failed, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct CastError {
    /// The kind, which decides the status code.
    pub kind: CastErrorKind,
    /// What is wrong, as a text for people.
    pub error: String,
    /// What people can do about it.
    pub help: String,
}

/// Why an operation on casts failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CastErrorKind {
    /// The request is malformed.
    Invalid,
    /// There is no such task or cast.
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

impl CastErrorKind {
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

impl CastService {
    /// Puts a cast into the queue, and returns its key. It is in the store then, and will be done at
    /// least once.
    ///
    /// # Errors
    /// See [`CastErrorKind`]. If the store does not answer, the cast may be in the queue.
    pub async fn cast(
        &self,
        task: &str,
        payload: Bytes,
        content_type: Option<String>,
    ) -> Result<CastKey, CastError> {
        let tasks = self.tasks.borrow().clone();
        let Some(terms) = tasks.get(task) else { return Err(no_task(task, &tasks)) };
        if payload.len() > terms.max_payload {
            let (length, most) = (payload.len(), terms.max_payload);
            return Err(CastError::new(
                CastErrorKind::TooLong,
                format!("a payload of {length} bytes: {task} takes {most} at most"),
                "keep the data elsewhere and cast where it is, or raise `payload` in the task's settings",
            ));
        }
        if content_type.as_deref().is_some_and(|form| !is_content_type(form)) {
            return Err(CastError::new(
                CastErrorKind::Invalid,
                format!("its content type is none: 1 to {CONTENT_TYPE_MAX} bytes of plain ASCII"),
                "write one as in text/plain, or leave it out",
            ));
        }
        let key = CastKey::fresh(task);
        let order = CastRequest { payload, content_type, max_attempts: terms.max_attempts };
        // Repeating it is safe, since the id is fixed.
        let put = retry_transient(|| self.casts.put(&key, &order, terms.max_queued)).await;
        if put.is_ok() {
            measure::cast_queued(&key.task);
        }
        put.map_err(|error| match error {
            StoreError::Limit(problem) => CastError::new(
                CastErrorKind::QueueFull,
                problem,
                "cast again when some are done; or raise `max_queued` in the task's settings",
            ),
            error if error.is_transient() => CastError::new(
                CastErrorKind::Unavailable,
                with_causes(&error),
                format!("ask for {key}: it may be in the queue; otherwise cast again"),
            ),
            error => store_error(&error),
        })?;
        Ok(key)
    }

    /// The state of a cast, and its answer when it is done.
    ///
    /// # Errors
    /// [`CastErrorKind::NotFound`] if there is no such cast, or its answer has expired.
    pub async fn find(&self, key: &CastKey) -> Result<(CastEntry, Option<CastAnswer>), CastError> {
        let state = self.casts.state(key).await.map_err(|error| store_error(&error))?;
        let state = state.ok_or_else(|| {
            let error = format!("no cast {key}");
            CastError::new(
                CastErrorKind::NotFound,
                error,
                "look at the id; a result is kept as long as the task's `keep` says",
            )
        })?;
        Ok(match state {
            CastState::Queued(head) => (CastEntry::of(key, "queued", head), None),
            CastState::Claimed(head) => (CastEntry::of(key, "claimed", head), None),
            CastState::Done(ended, answer) => (CastEntry::ended(key, "done", ended), Some(answer)),
            CastState::Dead(ended) => (CastEntry::ended(key, "dead", ended), None),
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
    ) -> Result<Vec<CastEntry>, CastError> {
        let dead = self
            .casts
            .dead_letters(task, after, limit)
            .await
            .map_err(|error| store_error(&error))?;
        Ok(dead.into_iter().map(|(key, ended)| CastEntry::ended(&key, "dead", ended)).collect())
    }

    /// Puts one dead letter of a task back into the queue, or all that there are now, and returns
    /// how many.
    ///
    /// # Errors
    /// [`CastErrorKind::NotFound`] if there is no dead letter with this id.
    pub async fn replay(&self, task: &str, id: Option<&str>) -> Result<usize, CastError> {
        if let Some(id) = id {
            let key = CastKey::new(task, id);
            let was_there = self.replay_one(&key).await.map_err(|error| store_error(&error))?;
            return if was_there { Ok(1) } else { Err(no_dead_letter(&key)) };
        }
        // A cast that fails again meanwhile comes before `after`, and is not replayed twice.
        let (mut replayed, mut after) = (0, None::<Arc<str>>);
        loop {
            let page = self.casts.dead_letters(task, after.as_deref(), PAGE).await;
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

    async fn replay_one(&self, key: &CastKey) -> Result<bool, StoreError> {
        let (was_there, again) = retry_transient(|| self.casts.replay(key)).await?;
        Ok(was_there || again)
    }

    /// Deletes one dead letter of a task for good, or all of them, and returns how many.
    ///
    /// # Errors
    /// [`CastErrorKind::NotFound`] if there is no dead letter with this id.
    pub async fn purge(&self, task: &str, id: Option<&str>) -> Result<usize, CastError> {
        let Some(id) = id else {
            return self.casts.purge_all(task).await.map_err(|error| store_error(&error));
        };
        let key = CastKey::new(task, id);
        // Here and in `replay_one`: after a repeated call (`again`) nothing may be left, since the
        // call whose answer was lost may have done it.
        let purged = retry_transient(|| self.casts.purge(&key))
            .await
            .map_err(|error| store_error(&error))?;
        let (was_there, again) = purged;
        if was_there || again { Ok(1) } else { Err(no_dead_letter(&key)) }
    }
}

impl CastEntry {
    fn of(key: &CastKey, state: &'static str, head: CastHeader) -> Self {
        Self { id: key.id.clone(), task: key.task.clone(), state, head, ended: None }
    }

    fn ended(key: &CastKey, state: &'static str, EndedCast { head, at }: EndedCast) -> Self {
        Self { ended: Some(at), ..Self::of(key, state, head) }
    }
}

impl CastError {
    fn new(kind: CastErrorKind, error: impl Into<String>, help: impl Into<String>) -> Self {
        Self { kind, error: error.into(), help: help.into() }
    }
}

fn no_task(task: &str, tasks: &CastSettingsByTask) -> CastError {
    let names: Vec<_> = tasks.keys().map(|name| &**name).collect();
    let help = if names.is_empty() {
        "put a plugin that exports soloist:plugin/task into the plugins folder".to_owned()
    } else {
        format!("there are: {}", names.join(", "))
    };
    CastError::new(CastErrorKind::NotFound, format!("no task {task}"), help)
}

fn no_dead_letter(key: &CastKey) -> CastError {
    let help = format!("`soloist tasks dead list {}` shows those that there are", key.task);
    CastError::new(CastErrorKind::NotFound, format!("no dead letter {key}"), help)
}

fn store_error(error: &StoreError) -> CastError {
    let (kind, help) = match error {
        StoreError::Unavailable { .. } => {
            (CastErrorKind::Unavailable, "try again; `soloist status` shows how the store does")
        }
        StoreError::Limit(_) => (CastErrorKind::Invalid, "write a shorter one"),
        _ => (CastErrorKind::Refused, "set this right, and try again"),
    };
    CastError::new(kind, with_causes(error), help)
}
