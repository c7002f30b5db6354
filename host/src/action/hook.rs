//! Hooks: an action is told that its host has come to lead, or stands by.
//!
//! Invariants:
//! - A hook is a guest as any other: it has a slot, turns, limits and a gate. Dropping
//!   the future of a call ends its instance.
//! - What a hook has opened ends with its call.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{task::JoinHandle, time::timeout};
use tracing::{info, warn};

use super::{Action, Failure, Scope, State, Tasks};
use soloist_guests::{
    capability::{Access, GuestState, one_line},
    plugin::{Change, Guest, HooksEntry, Leader},
};
use soloist_leadership::Gate;

/// The hooks that a term begins with, side by side. Dropping them cancels them.
pub struct Hooks {
    actions: Vec<Arc<Action>>,
    tasks: Tasks,
    calls: FuturesUnordered<JoinHandle<Option<Result<(), Failure>>>>,
    failed: Vec<Arc<str>>,
}

impl Hooks {
    /// Calls `on-leader` of those of `actions` that have it.
    #[must_use]
    pub fn begin(actions: &[Arc<Action>], scope: &Scope) -> Self {
        let told = |action: &&Arc<Action>| action.plugin().entries().hooks.is_some();
        let actions: Vec<_> = actions.iter().filter(told).cloned().collect();
        let tasks = scope.tasks.child();
        let call = |action: &Arc<Action>| {
            action.board().begin_run();
            action.board().lock().state = State::Starting;
            tasks.spawn(on_leader(Arc::clone(action), scope.clone(), tasks.child()))
        };
        let calls = actions.iter().map(call).collect();
        Self { actions, tasks, calls, failed: Vec::new() }
    }

    /// Waits until all have returned.
    ///
    /// # Errors
    /// As soon as one has failed. The others run on, and can be waited for.
    pub async fn done(&mut self) -> Result<(), Failure> {
        while let Some(call) = self.calls.next().await {
            // One that was cancelled belongs to a term that ends; a panic ends the process.
            if let Ok(Some(Err(failure))) = call {
                self.failed.push(Arc::clone(failure.action.name()));
                return Err(failure);
            }
        }
        Ok(())
    }

    /// The actions that have not failed.
    pub fn well(&self) -> impl Iterator<Item = &Arc<Action>> {
        self.actions.iter().filter(|action| !self.failed.contains(action.name()))
    }

    /// Interrupts those that still run; nothing of them is left when this resolves.
    pub async fn stop(&self) {
        let _hurry = self.actions.first().map(|action| action.engine().hurry());
        self.tasks.stop().await;
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.tasks.cancel();
        self.actions.iter().for_each(|action| action.board().end_run());
    }
}

async fn on_leader(action: Arc<Action>, scope: Scope, links: Tasks) -> Result<(), Failure> {
    let Some(entry) = action.plugin().entries().hooks.clone() else { return Ok(()) };
    let access = Arc::new(action.access(&scope.term, links.clone()));
    let outcome = tell(&action, &entry, access, &Change::Leads).await;
    links.stop().await;
    let term = scope.term.gate.term();
    let (name, group, token) = (action.name(), &term.group, term.token.0);
    match outcome {
        Ok(()) => {
            info!(event = "hook", action = %name, %group, token, "action {name} was told that its host leads");
            // One with more to it has to show that this runs as well.
            if !action.kinds().stays() {
                action.board().lock().last_error = None;
                action.prove();
            }
            Ok(())
        }
        // The term is over, and nobody's fault.
        Err(_) if scope.term.gate.pass().is_err() => Ok(()),
        Err(error) => {
            let reason = format!("its hook on-leader failed: {error}");
            warn!(event = "hook-failed", action = %name, %group, token, error, "action {name} failed when it was told that its host leads");
            let mut board = action.board().lock();
            board.state = State::Failed;
            board.last_error = Some(reason.clone());
            drop(board);
            Err(Failure { action, reason, may_pass: false })
        }
    }
}

impl Action {
    /// Whether it is to be told who leads while its host stands by.
    #[must_use]
    pub fn has_hooks(&self) -> bool {
        self.plugin().entries().hooks.is_some()
    }

    /// Calls `on-standby`, outside of a term, as long as `gate` lets it; `links` own what
    /// it opens. A failure is logged and noted.
    pub async fn on_standby(&self, gate: Arc<Gate>, leader: Option<Leader>, links: Tasks) {
        let Some(entry) = &self.plugin().entries().hooks else { return };
        let access = Arc::new(self.access_outside(&gate, None, links.clone()));
        let outcome = tell(self, entry, access, &Change::StandsBy(leader)).await;
        links.stop().await;
        if let Err(error) = outcome
            && gate.pass().is_ok()
        {
            let (name, group) = (self.name(), &gate.term().group);
            warn!(event = "hook-failed", action = %name, %group, error, "action {name} failed when it was told who leads");
            self.board().lock().last_error = Some(format!("its hook on-standby failed: {error}"));
        }
    }
}

/// One call, within its limit of time.
async fn tell(
    action: &Action,
    entry: &HooksEntry,
    access: Arc<Access>,
    change: &Change,
) -> Result<(), String> {
    let limit = action.config().limits.hook_timeout;
    let call = async {
        let slot = action.slot().await;
        let state = GuestState::new(&access).await.map_err(|error| error.to_string())?;
        let mut guest = Guest::new(entry.engine(), slot, state);
        let told = entry.tell(guest.store(), change);
        match action.run(told).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(text)) => Err(one_line(&text).unwrap_or_else(|| "it gave no reason".into())),
            Err(error) => Err(format!("it trapped: {}", error.root_cause())),
        }
    };
    timeout(limit, call).await.unwrap_or_else(|_| Err(too_long(limit)))
}

fn too_long(limit: Duration) -> String {
    let limit = humantime::format_duration(limit);
    format!("it was not done within {limit}; `hook_timeout` in its settings gives it more time")
}
