//! The hosts that a call may go to, how they are reached, and the errors for when there is none.

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::watch;

use super::{client::TaskClient, load_balancer::LoadBalancer};
use crate::action::{Action, TaskPools};
use soloist_guests::capability::CallError;
use soloist_stores::{Roster, ThisHost};

/// Knows the hosts that take calls, and reaches them.
pub(super) struct CallRouter {
    pub(super) host: ThisHost,
    /// What does the calls that stay on this host.
    pub(super) pools: Arc<TaskPools>,
    /// The members, and the tasks that each takes calls of.
    pub(super) roster: watch::Receiver<Option<Roster>>,
    pub(super) balancer: LoadBalancer,
    pub(super) client: TaskClient,
}

/// A host that takes calls of a task.
pub(super) struct CallTarget {
    pub(super) name: Arc<str>,
    /// The URL of its control address; none for this host itself.
    pub(super) url: Option<String>,
}

impl CallRouter {
    /// The hosts that take calls of `action` now: this host, if it does, and the members whose
    /// entries in the store list the task.
    pub(super) fn targets(&self, action: &Action) -> Vec<CallTarget> {
        let (name, roster) = (action.name(), self.roster.borrow());
        let own = self.pools.offers().borrow().contains(name);
        let own = own.then(|| CallTarget { name: Arc::clone(self.host.name()), url: None });
        let members = roster.iter().flat_map(|roster| &roster.members);
        let others = members
            .filter(|(_, member)| self.host.is_other(&**member) && member.tasks.contains(name));
        let others = others.map(|(_, member)| CallTarget {
            name: member.name.as_str().into(),
            url: Some(member.url.clone()),
        });
        own.into_iter().chain(others).collect()
    }

    /// The hosts that take calls of `action` now, by name.
    pub(super) fn hosts(&self, action: &Action) -> BTreeSet<Arc<str>> {
        self.targets(action).into_iter().map(|target| target.name).collect()
    }
}

/// The error where no host takes calls of `action`.
pub(super) fn no_host_error(action: &Action) -> CallError {
    let label = action.config().task.require_label.as_ref();
    let reason = label
        .map(|label| format!("it requires hosts with the label {}={}", label.name, label.value));
    CallError::Nobody { name: Arc::clone(action.name()), reason }
}

/// The error where `host` could not be asked, for this reason.
pub(super) fn unreachable_error(action: &Action, host: &str, reason: &str) -> CallError {
    let name = Arc::clone(action.name());
    CallError::Nobody { name, reason: Some(format!("{host}: {reason}")) }
}

/// The error where all `hosts` that take calls of the task are busy.
pub(super) fn busy_error(hosts: &BTreeSet<Arc<str>>) -> CallError {
    let hosts = hosts.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
    CallError::Busy { hosts }
}
