//! The programme: what a host runs at one moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::prepared_action::Action;
use soloist_config::{ReservedMount, Schedule};
use soloist_guests::plugin::Kind;
use soloist_heart::Group;

/// What this host runs, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Programme {
    /// The actions, by name.
    pub actions: Vec<Arc<Action>>,
    /// The plugins that were refused, and why.
    pub refused: Vec<RefusedPlugin>,
    /// The groups that this host must not lead because the settings file names an action of theirs
    /// that was refused; with the reason.
    pub obstacles: BTreeMap<Group, String>,
}

impl Programme {
    /// The actions that the leader of `group` runs.
    #[must_use]
    pub fn for_group(&self, group: &Group) -> Vec<Arc<Action>> {
        self.term_actions().filter(|action| action.group() == group).cloned().collect()
    }

    /// The same for every group that has actions.
    #[must_use]
    pub fn by_group(&self) -> BTreeMap<Group, Vec<Arc<Action>>> {
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for action in self.term_actions() {
            groups.entry(action.group().clone()).or_default().push(Arc::clone(action));
        }
        groups
    }

    /// The groups that have actions, or should have.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<Group> {
        let groups = self.term_actions().map(|action| action.group().clone());
        groups.chain(self.obstacles.keys().cloned()).collect()
    }

    /// Whether the leader of `group` depends on wall time because one of its actions has a
    /// schedule.
    #[must_use]
    pub fn needs_wall_time(&self, group: &Group) -> bool {
        let jobs = self.term_actions().filter(|action| action.group() == group);
        jobs.filter_map(|action| action.job()).any(|job| job.schedule != Schedule::OnDemand)
    }

    /// Why the action `name` was refused, if it was.
    #[must_use]
    pub fn refusal(&self, name: &str) -> Option<&str> {
        let refused = self.refused.iter().find(|refused| refused.name == name);
        refused.map(|refused| &*refused.reason)
    }

    /// The tasks, which every host may be asked to run.
    pub fn tasks(&self) -> impl Iterator<Item = &Arc<Action>> {
        self.actions.iter().filter(|action| action.kinds().has(Kind::Task))
    }

    fn term_actions(&self) -> impl Iterator<Item = &Arc<Action>> {
        self.actions.iter().filter(|action| action.kinds().need_term())
    }
}

/// Something in the plugins folder that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedPlugin {
    /// The name that the action would have.
    pub name: String,
    /// Why it was refused, and what to do about it.
    pub reason: String,
    /// Where it would answer requests, if it might.
    pub reserved: Option<ReservedMount>,
}
