//! The status, readiness and metrics of a host, put together from what its parts know.

mod actions;
mod groups;
mod hosts;
mod leader;
mod measurements;
mod orders;
mod readiness;

use std::{collections::BTreeSet, sync::Arc};

use tokio::sync::watch;

use super::context::HostContext;
use crate::{
    action::{RefusedPlugin, TaskPools},
    api::{HostEntry, Status, StatusSource, StoreEntry, StoreState},
    relay::UnreachedLeaders,
};
use soloist_heart::{
    Group,
    clock::{BootTime, ClockVerdict},
};
use soloist_leadership::{HostView, KnownRoster, RehearsalResult};
use soloist_text::rfc3339;

/// Reads everything and changes nothing.
pub(super) struct HostStatusSource {
    pub(super) context: HostContext,
    pub(super) pools: Arc<TaskPools>,
    /// The leaders that requests could not be forwarded to.
    pub(super) unreached: UnreachedLeaders,
    /// The strategy plugins that are refused.
    pub(super) refused_strategies: Vec<RefusedPlugin>,
    /// What the heart has published of itself, to be shown by [`HostStatusSource::current_view`].
    pub(super) view: watch::Receiver<HostView>,
}

impl StatusSource for HostStatusSource {
    fn status(&self) -> Status {
        let view = self.current_view();
        let known = self.context.roster_view.current();
        let elected = known.last().into_iter().flat_map(|roster| roster.groups.keys());
        let groups: BTreeSet<_> = view.groups.keys().chain(elected).collect();
        let entry = |group: &Group| (group.to_string(), self.group(group, &view, &known));
        Status {
            cluster: self.context.config.cluster.clone(),
            host: self.host(&view, &known),
            store: self.store(&view, &known),
            groups: groups.into_iter().map(entry).collect(),
            hosts: hosts::hosts(&known),
            removed: hosts::removed(&known),
            actions: self.actions(known.now()),
        }
    }

    fn metrics(&self) -> String {
        self.measure();
        self.context.measurements.render()
    }

    fn ready(&self) -> Result<(), String> {
        self.check_ready()
    }
}

impl HostStatusSource {
    /// What the heart has published, as far as it holds at this moment.
    fn current_view(&self) -> HostView {
        self.view.borrow().clone().at(BootTime::now())
    }

    fn host(&self, view: &HostView, known: &KnownRoster) -> HostEntry {
        let advertised = self.context.address_warnings.borrow();
        let advertised = advertised.iter().map(ToString::to_string);
        let unreached = known.now().map(|roster| self.unreached.warnings(roster));
        let clock = self.context.clock.verdict().filter(|it| *it != ClockVerdict::Right);
        HostEntry {
            name: self.context.member.name.clone(),
            listen: self.context.listen.to_string(),
            version: self.context.member.version.clone(),
            obstacle: view.obstacle.clone(),
            warnings: advertised.chain(unreached.into_iter().flatten()).collect(),
            clock: clock.map(|it| it.to_string()),
        }
    }

    fn store(&self, view: &HostView, known: &KnownRoster) -> StoreEntry {
        let error = view.store_error.clone().or_else(|| view.setback.clone());
        let (state, last_error) = match (view.session, &*self.context.rehearsed.borrow()) {
            (None, _) => (StoreState::Lost, error),
            (Some(_), RehearsalResult::Refused(reason)) => {
                (StoreState::Unwritable, Some(reason.clone()))
            }
            (Some(_), _) => (StoreState::Ok, error),
        };
        let (current, seen_at) = (known.now().is_some(), known.seen().map(rfc3339));
        let label = self.context.store.label().to_owned();
        StoreEntry { label, state, last_error, current, seen_at }
    }
}
