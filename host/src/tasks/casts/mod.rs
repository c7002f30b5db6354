//! Casts: calls of tasks that are in the store until they are done.
//!
//! ```text
//!            news of the queue              claims
//!   store ─────────────────────► Queue ──────────────► attempts ──► Perform
//!     ▲                       what is next                │
//!     └────────────────── what came of them ──────────────┘
//! ```
//!
//! Each host has one [`Worker`], which follows the queue and takes what it has
//! places for. `store/cast` holds what must not go wrong: who has a cast, and
//! what is written of it. Here is what makes it go well.
//!
//! Invariants:
//! - An attempt is made under the session that claimed it. When that ends, the
//!   attempt is interrupted: another host may have the cast.
//! - Whatever is claimed is given back, ended or under way: a claim whose answer
//!   is lost is asked for again, and a word to the store is repeated until the
//!   store has it, or the session ends.
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

/// How casts of a task are done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CastSettings {
    /// How many of them this host does at a time.
    pub max_concurrent: usize,
    /// How often each is tried.
    pub max_attempts: u32,
    /// How long answers are kept.
    pub keep: Duration,
    /// How many there may be that are not done, in the whole cluster.
    pub max_queued: usize,
    /// How long a payload may be, in bytes; up to [`PAYLOAD_MAX`](soloist_stores::PAYLOAD_MAX).
    pub payload: usize,
}

/// Tasks by their names.
pub type CastSettingsByTask = Arc<BTreeMap<Arc<str>, CastSettings>>;

/// What does a task's work on this host.
#[async_trait]
pub trait CastRunner: Send + Sync + 'static {
    /// The tasks that this host runs now, with their settings; it changes when plugins do.
    fn tasks(&self) -> watch::Receiver<CastSettingsByTask>;

    /// Does one attempt. Dropping the future interrupts the guest.
    ///
    /// # Errors
    /// Why it was not done.
    async fn perform(&self, call: TaskCall) -> Result<TaskOutput, TaskError>;
}
