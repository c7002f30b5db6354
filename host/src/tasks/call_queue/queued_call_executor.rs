//! Runs queued calls in the task pools of this host.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{CallQueueSettings, CallQueueSettingsByTask, QueuedCallRunner};
use crate::action::{Action, Programme, TaskError, TaskOffers, TaskPools};
use soloist_guests::plugin::{TaskCall, TaskOutput};

/// The most queued calls of a task that a host does at a time. As many are done again when it dies.
const CONCURRENT_MAX: usize = 32;

/// Runs queued calls in the task pools, which calls use as well.
pub struct QueuedCallExecutor {
    pools: Arc<TaskPools>,
    programme: watch::Receiver<Arc<Programme>>,
    /// The tasks of the programme.
    known: watch::Sender<CallQueueSettingsByTask>,
    /// The tasks that this host takes calls of now.
    offered: watch::Sender<CallQueueSettingsByTask>,
}

impl QueuedCallExecutor {
    /// Runs queued calls in `pools`, by the settings of `programme`.
    #[must_use]
    pub fn new(pools: Arc<TaskPools>, programme: watch::Receiver<Arc<Programme>>) -> Self {
        let (known, offered) = (watch::Sender::default(), watch::Sender::default());
        Self { pools, programme, known, offered }
    }

    /// The tasks of the programme, whether this host runs them or not.
    #[must_use]
    pub fn known_tasks(&self) -> watch::Receiver<CallQueueSettingsByTask> {
        self.known.subscribe()
    }

    /// Follows the programme and the tasks that this host takes calls of, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let (mut programme, mut offers) = (self.programme.clone(), self.pools.offers());
        loop {
            self.refresh(&programme.borrow_and_update(), &offers.borrow_and_update());
            let changed = tokio::select! {
                () = stop.cancelled() => return,
                changed = programme.changed() => changed,
                changed = offers.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    fn refresh(&self, programme: &Programme, offers: &TaskOffers) {
        let entry = |action: &Arc<Action>| (Arc::clone(action.name()), call_queue_settings(action));
        let known: BTreeMap<_, _> = programme.tasks().map(entry).collect();
        let mut offered = known.clone();
        offered.retain(|name, _| offers.contains(name));
        for (to, now) in [(&self.known, known), (&self.offered, offered)] {
            to.send_if_modified(|before| {
                let changes = **before != now;
                *before = now.into();
                changes
            });
        }
    }
}

#[async_trait]
impl QueuedCallRunner for QueuedCallExecutor {
    fn tasks(&self) -> watch::Receiver<CallQueueSettingsByTask> {
        self.offered.subscribe()
    }

    async fn perform(&self, call: TaskCall) -> Result<TaskOutput, TaskError> {
        let within = {
            let programme = self.programme.borrow();
            let action = programme.tasks().find(|action| *action.name() == call.name);
            action.ok_or(TaskError::Leaving)?.config().task.call_timeout
        };
        self.pools.perform(&call, within).await
    }
}

/// The settings for queued calls of a task. Queued calls use half of its slots at most, so that
/// calls get the others.
fn call_queue_settings(action: &Action) -> CallQueueSettings {
    let config = action.config();
    CallQueueSettings {
        max_concurrent: (config.limits.max_concurrent_requests / 2).clamp(1, CONCURRENT_MAX),
        max_attempts: config.task.max_attempts,
        keep_answer: config.task.result_retention,
        max_queued: config.task.max_queued_calls,
        max_payload: usize::try_from(config.task.max_payload_size).unwrap_or(usize::MAX),
    }
}
