//! The part of the heart's state that the driver publishes.

use std::collections::BTreeMap;

use soloist_heart::{CandidacyStage, Group, GroupCandidacy, Heart, LeaseId, clock::BootTime};

/// A host's role in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRole {
    /// The host leads.
    Leader,
    /// Its term is ending.
    Draining,
    /// Nothing of a term is alive on this host, and its key is being given up.
    Resigning,
    /// The host stands in the queue.
    Standby,
    /// The host does not stand: it has no session, or cannot run the group's actions.
    Out,
}

/// The state of one group on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// The host's role in the group.
    pub role: GroupRole,
    /// Why the host cannot stand, if it cannot.
    pub obstacle: Option<String>,
    /// Who has barred the host from standing, and why.
    pub bar: Option<String>,
}

/// The state of the host as its heart sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostView {
    /// The session's lease and its deadline.
    pub session: Option<(LeaseId, BootTime)>,
    /// Whether the host is among the members, with that session.
    pub joined: bool,
    /// Why the host cannot join the members.
    pub obstacle: Option<String>,
    /// The state of each group.
    pub groups: BTreeMap<Group, GroupView>,
    /// The error of the last failed call to the store, until one succeeds.
    pub store_error: Option<String>,
    /// What was observed of a store that is not the one that the host knew, as long as the host
    /// stands for nothing because of that.
    pub setback: Option<String>,
}

impl HostView {
    /// The published state of `heart`, together with the error of the last failed call to the
    /// store.
    #[must_use]
    pub fn of(heart: &Heart, store_error: Option<String>) -> Self {
        let held = heart.setback();
        let view = |(group, candidacy): (&Group, &GroupCandidacy)| {
            (group.clone(), of_group(candidacy, held))
        };
        Self {
            session: heart.session().live(),
            joined: heart.joined().is_some(),
            obstacle: heart.obstacle().map(ToOwned::to_owned),
            groups: heart.candidacies().iter().map(view).collect(),
            store_error,
            setback: held.map(ToOwned::to_owned),
        }
    }
}

fn of_group(candidacy: &GroupCandidacy, held: Option<&str>) -> GroupView {
    let role = match candidacy.stage() {
        CandidacyStage::Idle { .. } => GroupRole::Out,
        CandidacyStage::Campaigning | CandidacyStage::Verifying { .. } => GroupRole::Standby,
        CandidacyStage::Leading { .. } => GroupRole::Leader,
        CandidacyStage::Draining { .. } | CandidacyStage::Stopping { .. } => GroupRole::Draining,
        CandidacyStage::Resigning { .. } => GroupRole::Resigning,
    };
    let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
    GroupView { role, obstacle: owned(held.or(candidacy.obstacle())), bar: owned(candidacy.bar()) }
}
