//! The actions in the status of a host, and the plugins that it refuses.

use std::sync::Arc;

use super::HostStatusSource;
use crate::{
    action::{self, Action, ActionState, ActionStatus, RefusedPlugin},
    api::ActionEntry,
};
use soloist_config::Mount;
use soloist_stores::{FailedAction, Roster};

impl HostStatusSource {
    pub(super) fn actions(&self, roster: Option<&Roster>) -> Vec<ActionEntry> {
        let programme = Arc::clone(&self.context.programme.borrow());
        let mounts = action::mounts(&programme.actions, &programme.refused);
        let entry = |action: &Arc<Action>| {
            let mut status = action.status();
            status.listen = self.context.directory.bound_address(action).or(status.listen);
            let parked = roster.and_then(|it| it.parked(action.group(), action.name()));
            let entry = action_entry(status, mounts.get(action.name()), parked);
            ActionEntry { tls: action.tls().is_some(), ..entry }
        };
        let actions = programme.actions.iter().map(entry);
        let refused = programme.refused.iter().chain(&self.refused_strategies);
        actions.chain(refused.map(refused_entry)).collect()
    }
}

/// An action is shown as `parked` on every host if the leader goes on without it, with the error
/// that it failed by there.
fn action_entry(
    action: ActionStatus,
    mount: Option<&Mount>,
    parked: Option<&FailedAction>,
) -> ActionEntry {
    let state = if parked.is_some() { ActionState::Parked } else { action.state };
    ActionEntry {
        name: action.name.to_string(),
        kind: action.kinds.to_string(),
        group: action.group.to_string(),
        state: state.as_str().to_owned(),
        plugin: action.plugin,
        sha256: action.sha256.to_string(),
        restarts: action.restarts,
        listen: action.listen.map(|listen| listen.to_string()),
        path: mount.map(|mount| mount.path().to_owned()),
        paths: mount.iter().flat_map(|it| &it.paths).map(ToString::to_string).collect(),
        last_error: parked.map(|failed| failed.reason.clone()).or(action.last_error),
        ..ActionEntry::default()
    }
}

/// A refused plugin is listed among the actions, since people look for it there.
fn refused_entry(refused: &RefusedPlugin) -> ActionEntry {
    ActionEntry {
        name: refused.name.clone(),
        state: "refused".to_owned(),
        last_error: Some(refused.reason.clone()),
        ..ActionEntry::default()
    }
}
