//! Queued calls: calls of tasks that wait in a queue in the store until they are done.
//!
//! ```text
//!              changes                      claims
//!   store ─────────────────► CallQueue ───────────────► QueuedCallAttempt ──► QueuedCallRunner
//!     ▲                   picks what is next                 │
//!     └─────────────────────── outcome ──────────────────────┘
//! ```
//!
//! Each host has one [`CallQueueWorker`], which follows the queue and claims as many queued calls
//! as it has free slots for. What keeps queued calls safe is in `soloist-stores` (`queued_call`):
//! which host has a queued call, and what is written of it. This module makes good use of it.
//!
//! Invariants:
//! - An attempt runs under the session that claimed the queued call. When the session ends, the
//!   attempt is interrupted, since another host may have claimed the queued call by then.
//! - Every claim is settled, with the outcome or by giving the queued call back. A claim whose
//!   answer was lost is repeated, and so is the outcome, until the store has it or the session
//!   ends.
//! - The worker owns its attempts, and has joined them all when it returns.

mod call_queue_service;
mod call_queue_worker;
mod queue;
mod queue_updates;
mod queued_call_attempt;
mod queued_call_executor;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

pub use call_queue_service::{
    CallQueueError, CallQueueErrorKind, CallQueueService, QueuedCallEntry,
};
pub use call_queue_worker::CallQueueWorker;
pub(crate) use queued_call_attempt::ATTEMPT_OUTCOMES;
pub use queued_call_executor::QueuedCallExecutor;

use crate::action::TaskError;
use soloist_guests::plugin::{TaskCall, TaskOutput};

/// How the queued calls of a task are done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallQueueSettings {
    /// How many this host does at a time.
    pub max_concurrent: usize,
    /// How many attempts each gets.
    pub max_attempts: u32,
    /// How long the store keeps answers.
    pub keep_answer: Duration,
    /// How many may be waiting or under way in the whole cluster.
    pub max_queued: usize,
    /// The longest payload, in bytes; up to [`PAYLOAD_MAX`](soloist_stores::PAYLOAD_MAX).
    pub max_payload: usize,
}

/// Settings by the name of the task.
pub type CallQueueSettingsByTask = Arc<BTreeMap<Arc<str>, CallQueueSettings>>;

/// Runs queued calls on this host.
#[async_trait]
pub trait QueuedCallRunner: Send + Sync + 'static {
    /// The tasks that this host runs now, with their settings. It changes with the plugins.
    fn tasks(&self) -> watch::Receiver<CallQueueSettingsByTask>;

    /// Makes one attempt. Dropping the future interrupts the guest.
    ///
    /// # Errors
    /// Why the attempt failed, or was not begun.
    async fn perform(&self, call: TaskCall) -> Result<TaskOutput, TaskError>;
}
