//! Casts: calls of tasks that wait in a queue in the store until they are done.
//!
//! ```text
//!              changes                      claims
//!   store ─────────────────► CastQueue ───────────────► CastAttempt ──► CastRunner
//!     ▲                   picks what is next                 │
//!     └─────────────────────── outcome ──────────────────────┘
//! ```
//!
//! Each host has one [`CastWorker`], which follows the queue and claims as many casts as it has
//! free slots for. What keeps casts safe is in `soloist-stores` (`cast`): which host has a cast,
//! and what is written of it. This module makes good use of it.
//!
//! Invariants:
//! - An attempt runs under the session that claimed the cast. When the session ends, the attempt is
//!   interrupted, since another host may have claimed the cast by then.
//! - Every claim is settled, with the outcome or by giving the cast back. A claim whose answer was
//!   lost is repeated, and so is the outcome, until the store has it or the session ends.
//! - The worker owns its attempts, and has joined them all when it returns.

mod cast_attempt;
mod cast_executor;
mod cast_service;
mod cast_worker;
mod queue;
mod queue_updates;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

pub use cast_executor::CastExecutor;
pub use cast_service::{CastEntry, CastError, CastErrorKind, CastService};
pub use cast_worker::CastWorker;

use crate::action::TaskError;
use soloist_guests::plugin::{TaskCall, TaskOutput};

/// How the casts of a task are done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CastSettings {
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
pub type CastSettingsByTask = Arc<BTreeMap<Arc<str>, CastSettings>>;

/// Runs casts on this host.
#[async_trait]
pub trait CastRunner: Send + Sync + 'static {
    /// The tasks that this host runs now, with their settings. It changes with the plugins.
    fn tasks(&self) -> watch::Receiver<CastSettingsByTask>;

    /// Makes one attempt. Dropping the future interrupts the guest.
    ///
    /// # Errors
    /// Why the attempt failed, or was not begun.
    async fn perform(&self, call: TaskCall) -> Result<TaskOutput, TaskError>;
}
