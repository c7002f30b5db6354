//! What all relayed requests share.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{client::RelayClient, known_leader::KnownLeader, unreached_leaders::UnreachedLeaders};
use crate::{
    action::{ActionDirectory, Programme},
    task_scope::TaskScope,
};
use soloist_heart::{FencingToken, Group};
use soloist_stores::{Roster, ThisHost};

/// What all relayed requests of a host share.
pub(crate) struct RelayContext {
    pub(super) host: ThisHost,
    /// The actions that run on this host now.
    pub(super) directory: ActionDirectory,
    pub(super) programme: watch::Receiver<Arc<Programme>>,
    pub(super) roster: watch::Receiver<Option<Roster>>,
    pub(super) client: RelayClient,
    pub(super) unreached: UnreachedLeaders,
    /// Owns the tasks and connections that outlive one request.
    pub(super) scope: TaskScope,
    /// Cancelled when the host begins to stop.
    pub(super) closing: CancellationToken,
}

impl RelayContext {
    /// Who leads `group`, as far as this host knows.
    pub(super) fn leader(&self, roster: Option<&Roster>, group: &Group) -> Option<KnownLeader> {
        let standing = roster?.leader(group)?;
        let candidate = &standing.candidate;
        Some(KnownLeader {
            name: candidate.host.clone(),
            url: candidate.url.clone(),
            instance: candidate.instance.clone(),
            fencing_token: standing.key.fencing_token,
            is_other: self.host.is_other(candidate),
        })
    }

    /// Why the present leader of `group` was not reached when it was last asked, if so.
    pub(super) fn unreached_leader(&self, group: &Group) -> Option<String> {
        let leader = self.leader(self.roster.borrow().as_ref(), group)?;
        self.unreached.warning(group, leader.fencing_token)
    }

    /// Resolves when the leader with `fencing_token` no longer leads `group`.
    pub(super) async fn term_ended(&self, group: &Group, fencing_token: FencingToken) {
        let leads = |roster: &Roster| {
            roster.leader(group).is_some_and(|it| it.key.fencing_token == fencing_token)
        };
        let mut roster = self.roster.clone();
        if roster.wait_for(|roster| !roster.as_ref().is_some_and(leads)).await.is_err() {
            // The roster's sender is gone: the host is stopping.
            std::future::pending().await
        }
    }

    /// Whether another host is in line to lead `group` when this one has stopped.
    pub(super) fn has_successor(&self, group: &Group) -> bool {
        let roster = self.roster.borrow();
        let mut line = roster.iter().flat_map(|roster| roster.succession(group));
        line.any(|standing| self.host.is_other(&standing.candidate))
    }
}
