//! What the driver lets others see of the heart.

use std::collections::BTreeMap;

use soloist_heart::{CandidacyStage, Group, GroupCandidacy, Heart, LeaseId, clock::BootTime};

/// A host's part in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupRole {
    /// It leads.
    Leader,
    /// Its term is ending.
    Draining,
    /// Nothing of a term is alive here, and its key is being given up.
    Resigning,
    /// It stands in the queue.
    Standby,
    /// It does not stand: it has no session, or cannot run the group's actions.
    Out,
}

/// One group, as this host stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// The host's part.
    pub role: GroupRole,
    /// Why the host does not stand, if it is not able to.
    pub obstacle: Option<String>,
    /// Who wants it not to stand, and why.
    pub bar: Option<String>,
}

/// The host, as its heart sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostView {
    /// The session's lease and its deadline.
    pub session: Option<(LeaseId, BootTime)>,
    /// Whether it is among the members, by that session.
    pub joined: bool,
    /// Why it cannot be.
    pub obstacle: Option<String>,
    /// What people should know though it keeps the host from nothing.
    pub warning: Option<String>,
    /// The groups.
    pub groups: BTreeMap<Group, GroupView>,
    /// What the store's last failed call said, until one succeeds.
    pub store_error: Option<String>,
    /// Why the host stands for nothing until it is restarted.
    pub restart_reason: Option<String>,
}

impl HostView {
    /// What is seen of `heart`, of the store's last failed call, and of what people should
    /// know besides.
    #[must_use]
    pub fn of(heart: &Heart, store_error: Option<String>, warning: Option<String>) -> Self {
        let held = heart.restart_reason();
        let view = |(group, candidacy): (&Group, &GroupCandidacy)| {
            (group.clone(), of_group(candidacy, held))
        };
        Self {
            session: heart.session().live(),
            joined: heart.joined().is_some(),
            obstacle: heart.obstacle().map(ToOwned::to_owned),
            warning,
            groups: heart.candidacies().iter().map(view).collect(),
            store_error,
            restart_reason: held.map(ToOwned::to_owned),
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
