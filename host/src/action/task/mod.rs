//! The runner of kind `task`: plugins that any host can be called to run, whoever leads.
//!
//! Guarantees:
//! - A task runs outside of every term: behind a gate without a fencing token, and without state.
//! - A host takes calls of a task only if it has the label that the task asks for (`require_label`), and none
//!   at all while people have the host drained or removed. The other hosts learn that from the
//!   store.
//! - A replaced version finishes the calls that it has; all later calls go to the new version. A
//!   version that does not start replaces nothing.

mod error;
mod task_pool;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{mpsc::UnboundedSender, watch};
use tokio_util::sync::CancellationToken;

use super::{
    action_failure::ActionFailure, action_status::ActionState, prepared_action::Action,
    programme::Programme,
};
pub use error::TaskError;
use soloist_guests::{
    capability::TaskCaller,
    plugin::{TaskCall, TaskOutput},
};
use soloist_leadership::Gate;
use soloist_stores::Roster;
use task_pool::TaskPool;

/// The names of the tasks that a host takes calls of.
pub type TaskOffers = Arc<BTreeSet<Arc<str>>>;

/// The tasks of this host.
pub struct TaskPools {
    host: Arc<str>,
    labels: BTreeMap<String, String>,
    pools: Mutex<BTreeMap<Arc<str>, Arc<TaskPool>>>,
    offers: watch::Sender<TaskOffers>,
    /// Handles the calls that tasks make themselves. It uses these pools in turn, hence the weak
    /// reference.
    calls: OnceLock<Weak<dyn TaskCaller>>,
}

impl TaskPools {
    /// A host called `host` with `labels`, without tasks yet.
    #[must_use]
    pub fn new(host: Arc<str>, labels: BTreeMap<String, String>) -> Self {
        let (pools, offers) = (Mutex::default(), watch::Sender::new(TaskOffers::default()));
        Self { host, labels, pools, offers, calls: OnceLock::new() }
    }

    /// Sets what handles the calls that tasks make; only the first call of this counts.
    pub fn set_calls(&self, calls: Weak<dyn TaskCaller>) {
        let _ = self.calls.set(calls);
    }

    /// The tasks that this host takes calls of, as they change.
    #[must_use]
    pub fn offers(&self) -> watch::Receiver<TaskOffers> {
        self.offers.subscribe()
    }

    /// Does `call` here, within this time at most. Dropping the future ends the instance.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn perform(
        &self,
        call: &TaskCall,
        within: Duration,
    ) -> Result<TaskOutput, TaskError> {
        let pool = self.pools().get(&call.name).cloned();
        pool.ok_or(TaskError::Leaving)?.perform(call, within).await
    }

    /// How many calls of `task` are running here or waiting for that.
    #[must_use]
    pub fn load(&self, task: &str) -> usize {
        self.pools().get(task).map_or(0, |pool| pool.load())
    }

    /// Follows `programme`, and whether `roster` shows that people want this host to stay out,
    /// until `stop`; then lets the calls finish that have started. They have `patience` for that,
    /// as have those of a replaced version. Versions that do not start are reported to `failures`.
    pub async fn follow_programme(
        &self,
        mut programme: watch::Receiver<Arc<Programme>>,
        mut roster: watch::Receiver<Option<Roster>>,
        failures: UnboundedSender<ActionFailure>,
        patience: Duration,
        stop: CancellationToken,
    ) {
        let mut leaving: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
        programme.mark_changed();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Ok(()) = programme.changed() => {
                    let now = Arc::clone(&programme.borrow_and_update());
                    // This may have to wait for a version to start.
                    let set = self.replace_pools(&now.actions, &failures);
                    let Some(replaced) = stop.run_until_cancelled(set).await else { break };
                    for old in replaced {
                        leaving.push(Box::pin(async move { old.finish(patience).await }));
                    }
                    self.offer(&roster);
                }
                Ok(()) = roster.changed() => self.offer(&roster),
                Some(()) = leaving.next() => {}
                // Nothing changes any more.
                else => break,
            }
        }
        self.offers.send_replace(TaskOffers::default());
        stop.cancelled().await;
        let pools = std::mem::take(&mut *self.pools());
        leaving.extend(pools.into_values().map(|pool| -> BoxFuture<'_, ()> {
            Box::pin(async move { pool.finish(patience).await })
        }));
        while leaving.next().await.is_some() {}
    }

    /// Takes calls of exactly the tasks among `actions`. Returns the pools that were replaced.
    async fn replace_pools(
        &self,
        actions: &[Arc<Action>],
        failures: &UnboundedSender<ActionFailure>,
    ) -> Vec<Arc<TaskPool>> {
        let mut next = BTreeMap::new();
        for action in actions.iter().filter(|action| self.is_allowed_here(action)) {
            let now = self.pools().get(action.name()).cloned();
            let pool = match now {
                Some(now) if Arc::ptr_eq(now.action(), action) => Some(now),
                now => self.open_pool(action, failures).await.or(now),
            };
            next.extend(pool.map(|pool| (Arc::clone(action.name()), pool)));
        }
        let before = std::mem::replace(&mut *self.pools(), next.clone());
        let stays = |old: &Arc<TaskPool>| next.values().any(|pool| Arc::ptr_eq(pool, old));
        before.into_values().filter(|old| !stays(old)).collect()
    }

    /// Publishes which tasks this host takes calls of.
    fn offer(&self, roster: &watch::Receiver<Option<Roster>>) {
        let out = roster.borrow().as_ref().is_some_and(|roster| roster.notes.keeps_out(&self.host));
        let offers: BTreeSet<_> =
            if out { BTreeSet::new() } else { self.pools().keys().cloned().collect() };
        self.offers.send_if_modified(|old| {
            let changes = **old != offers;
            *old = offers.into();
            changes
        });
    }

    /// Whether this host has the label that `action` asks for.
    fn is_allowed_here(&self, action: &Action) -> bool {
        action.config().task.require_label.as_ref().is_none_or(|label| label.is_in(&self.labels))
    }

    /// A pool for `action`, if it is a task and starts.
    async fn open_pool(
        &self,
        action: &Arc<Action>,
        failures: &UnboundedSender<ActionFailure>,
    ) -> Option<Arc<TaskPool>> {
        let calls = self.calls.get().and_then(Weak::upgrade);
        let gate = Gate::without_term(action.group().clone(), Arc::clone(&self.host));
        let pool = TaskPool::new(action, gate, calls)?;
        if action.on_trial() {
            if let Err(reason) = pool.try_instantiate().await {
                // The catalog may be gone; then there is nothing to go back to.
                let _ = failures.send(ActionFailure {
                    action: Arc::clone(action),
                    reason,
                    may_pass: false,
                });
                return None;
            }
            if !action.kinds().need_term() {
                action.end_trial();
            }
        }
        // The status of an action with other kinds is set by its term.
        if !action.kinds().need_term() {
            action.live_status().begin_run();
            action.live_status().lock().state = ActionState::Running;
        }
        Some(pool.into())
    }

    fn pools(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Arc<TaskPool>>> {
        self.pools.lock()
    }
}
