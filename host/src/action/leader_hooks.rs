//! Hooks: an action is called when its host becomes the leader, or stands by.
//!
//! Guarantees:
//! - A hook is a guest like any other: it has a slot, turns, limits and a gate. Dropping the future
//!   of a call ends its instance.
//! - What a hook has opened ends with its call.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{task::JoinHandle, time::timeout};
use tracing::{info, warn};

use super::{
    action_failure::ActionFailure, action_status::ActionState, prepared_action::Action,
    term_services::TermServices,
};
use crate::task_scope::TaskScope;
use soloist_guests::{
    capability::{ActionAccess, GuestState, one_line},
    plugin::{Guest, HookLeader, HooksEntryPoint, LeaderChange},
};
use soloist_leadership::Gate;

/// The hooks at the start of a term, which run in parallel. Dropping them cancels them.
pub struct LeaderHooks {
    actions: Vec<Arc<Action>>,
    tasks: TaskScope,
    calls: FuturesUnordered<JoinHandle<Option<Result<(), ActionFailure>>>>,
    failed: Vec<Arc<str>>,
}

impl LeaderHooks {
    /// Calls `on-leader` of those of `actions` that export it.
    #[must_use]
    pub fn start(actions: &[Arc<Action>], services: &TermServices) -> Self {
        let has_hooks = |action: &&Arc<Action>| action.plugin().entry_points().hooks.is_some();
        let actions: Vec<_> = actions.iter().filter(has_hooks).cloned().collect();
        let tasks = services.tasks.child();
        let call = |action: &Arc<Action>| {
            action.live_status().begin_run();
            action.live_status().lock().state = ActionState::Starting;
            tasks.spawn(call_on_leader(Arc::clone(action), services.clone(), tasks.child()))
        };
        let calls = actions.iter().map(call).collect();
        Self { actions, tasks, calls, failed: Vec::new() }
    }

    /// Waits until all have returned.
    ///
    /// # Errors
    /// As soon as one has failed. The others run on and can still be waited for.
    pub async fn done(&mut self) -> Result<(), ActionFailure> {
        while let Some(call) = self.calls.next().await {
            // A cancelled call belongs to a term that is ending; a panic ends the process.
            if let Ok(Some(Err(failure))) = call {
                self.failed.push(Arc::clone(failure.action.name()));
                return Err(failure);
            }
        }
        Ok(())
    }

    /// The actions that have not failed.
    pub fn succeeded(&self) -> impl Iterator<Item = &Arc<Action>> {
        self.actions.iter().filter(|action| !self.failed.contains(action.name()))
    }

    /// Interrupts the hooks that still run; nothing of them is left when this resolves.
    pub async fn stop(&self) {
        let _hurry = self.actions.first().map(|action| action.engine().tick_fast());
        self.tasks.stop().await;
    }
}

impl Drop for LeaderHooks {
    fn drop(&mut self) {
        self.tasks.cancel();
        self.actions.iter().for_each(|action| action.live_status().end_run());
    }
}

async fn call_on_leader(
    action: Arc<Action>,
    services: TermServices,
    links: TaskScope,
) -> Result<(), ActionFailure> {
    let Some(entry) = action.plugin().entry_points().hooks.clone() else { return Ok(()) };
    let access = Arc::new(action.access(&services.term, links.clone()));
    let outcome = call_hook(&action, &entry, access, &LeaderChange::Leads).await;
    links.stop().await;
    let term = services.term.gate.term();
    let (name, group, fencing_token) = (action.name(), &term.group, term.fencing_token.0);
    match outcome {
        Ok(()) => {
            info!(event = "hook", action = %name, %group, fencing_token, "action {name} has run its hook on-leader");
            // An action with other kinds must also show that those run.
            if !action.kinds().run_all_term() {
                action.live_status().lock().last_error = None;
                action.end_trial();
            }
            Ok(())
        }
        // The term has ended, which is not the action's fault.
        Err(_) if services.term.gate.pass().is_err() => Ok(()),
        Err(error) => {
            let reason = format!("its hook on-leader failed: {error}");
            warn!(event = "hook-failed", action = %name, %group, fencing_token, error, "the hook on-leader of action {name} failed");
            let mut status = action.live_status().lock();
            status.state = ActionState::Failed;
            status.last_error = Some(reason.clone());
            drop(status);
            Err(ActionFailure { action, reason, may_pass: false })
        }
    }
}

impl Action {
    /// Whether the action exports hooks, so that it is called while its host stands by.
    #[must_use]
    pub fn has_hooks(&self) -> bool {
        self.plugin().entry_points().hooks.is_some()
    }

    /// Calls `on-standby`, outside of a term, as long as `gate` is open; `links` own what it opens.
    /// A failure is logged and shown in the status.
    pub async fn on_standby(&self, gate: Arc<Gate>, leader: Option<HookLeader>, links: TaskScope) {
        let Some(entry) = &self.plugin().entry_points().hooks else { return };
        let access = Arc::new(self.access_outside_term(&gate, None, links.clone()));
        let outcome = call_hook(self, entry, access, &LeaderChange::StandsBy(leader)).await;
        links.stop().await;
        if let Err(error) = outcome
            && gate.pass().is_ok()
        {
            let (name, group) = (self.name(), &gate.term().group);
            warn!(event = "hook-failed", action = %name, %group, error, "the hook on-standby of action {name} failed");
            self.live_status().lock().last_error =
                Some(format!("its hook on-standby failed: {error}"));
        }
    }
}

/// One call, with the time limit of the action's settings.
async fn call_hook(
    action: &Action,
    entry: &HooksEntryPoint,
    access: Arc<ActionAccess>,
    change: &LeaderChange,
) -> Result<(), String> {
    let limit = action.config().limits.hook_timeout;
    let call = async {
        let slot = action.slot().await;
        let state = GuestState::new(&access).await.map_err(|error| error.to_string())?;
        let mut guest = Guest::new(entry.engine(), slot, state);
        let hook = entry.call(guest.store(), change);
        match action.run(hook).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(text)) => Err(one_line(&text).unwrap_or_else(|| "it gave no reason".into())),
            Err(error) => Err(format!("it trapped: {}", error.root_cause())),
        }
    };
    timeout(limit, call).await.unwrap_or_else(|_| Err(timeout_message(limit)))
}

fn timeout_message(limit: Duration) -> String {
    let limit = humantime::format_duration(limit);
    format!(
        "it took longer than {limit}; raise `hook_timeout` in its settings if it needs more time"
    )
}
