//! The runner of kind `task`: what any host is called for, whoever leads.
//!
//! Invariants:
//! - It runs outside of every term: behind a gate that has no token, with no state.
//! - It takes calls of a task only if it carries the label that the task asks for (`on`), and
//!   of none while people have it drained or removed; others learn that by the store.
//! - A version that is replaced finishes what it has begun; every later call is the new
//!   one's. One that does not come up replaces nothing.

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

use super::{Action, ActionFailure, ActionState, Programme};
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
    /// Who has the tasks done that tasks call: it has this workshop's done as well.
    calls: OnceLock<Weak<dyn TaskCaller>>,
}

impl TaskPools {
    /// No tasks yet, on `host`, which carries `labels`.
    #[must_use]
    pub fn new(host: Arc<str>, labels: BTreeMap<String, String>) -> Self {
        let (pools, offers) = (Mutex::default(), watch::Sender::new(TaskOffers::default()));
        Self { host, labels, pools, offers, calls: OnceLock::new() }
    }

    /// Has what the tasks call done by `calls`; only the first one counts.
    pub fn connect(&self, calls: Weak<dyn TaskCaller>) {
        let _ = self.calls.set(calls);
    }

    /// What this host takes calls of, as it changes.
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

    /// How many calls of `task` are done here or wait for that.
    #[must_use]
    pub fn load(&self, task: &str) -> usize {
        self.pools().get(task).map_or(0, |pool| pool.load())
    }

    /// Keeps up with `programme`, and with whether `roster` shows that people want this host to stay out, until
    /// `stop`, and then lets the calls finish that have begun. What is replaced has `patience`
    /// for that, too. Versions that do not come up are handed in at `failures`.
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
                    // It may have to wait for a version to come up.
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

    /// Takes calls of the tasks among `actions`, and of no other. Gives back what is replaced.
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

    /// Says what this host takes calls of.
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

    /// Whether this host carries the label that `action` asks for.
    fn is_allowed_here(&self, action: &Action) -> bool {
        action.config().task.on.as_ref().is_none_or(|label| label.is_in(&self.labels))
    }

    /// A pool for `action`, if it is a task that comes up.
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
                // Without a catalog there is nothing to go back to.
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
        // Of one that has more to it, the term has the say.
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
