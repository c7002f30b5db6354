//! The part of the heart's state that the driver publishes.

use std::collections::BTreeMap;

use soloist_heart::{CandidacyStage, Group, GroupCandidacy, Heart, LeaseId, clock::BootTime};

/// A host's role in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidacyRole {
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
    pub role: CandidacyRole,
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

    /// What still holds of this view at `now`: when the deadline of its session has passed, the
    /// host leads nothing and stands for nothing.
    ///
    /// Whoever shows a view to people must ask for that. A process that was frozen shows what it
    /// published before, until its driver has noticed; and the driver may hang.
    #[must_use]
    pub fn at(mut self, now: BootTime) -> Self {
        if self.session.is_none_or(|(_, deadline)| now < deadline) {
            return self;
        }
        (self.session, self.joined) = (None, false);
        for group in self.groups.values_mut() {
            group.role = match group.role {
                // What of its term is still alive is being ended.
                CandidacyRole::Leader | CandidacyRole::Draining => CandidacyRole::Draining,
                CandidacyRole::Resigning => CandidacyRole::Resigning,
                CandidacyRole::Standby | CandidacyRole::Out => CandidacyRole::Out,
            };
        }
        self
    }
}

fn of_group(candidacy: &GroupCandidacy, held: Option<&str>) -> GroupView {
    let role = match candidacy.stage() {
        CandidacyStage::Idle { .. } => CandidacyRole::Out,
        CandidacyStage::Campaigning | CandidacyStage::Verifying { .. } => CandidacyRole::Standby,
        CandidacyStage::Leading { .. } => CandidacyRole::Leader,
        CandidacyStage::Draining { .. } | CandidacyStage::Stopping { .. } => {
            CandidacyRole::Draining
        }
        CandidacyStage::Resigning { .. } => CandidacyRole::Resigning,
    };
    let owned = |text: Option<&str>| text.map(ToOwned::to_owned);
    GroupView { role, obstacle: owned(held.or(candidacy.obstacle())), bar: owned(candidacy.bar()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn nobody_leads_or_stands_when_the_deadline_has_passed() {
        use CandidacyRole::{Draining, Leader, Out, Resigning, Standby};
        let roles = [Leader, Draining, Resigning, Standby, Out];
        let deadline = BootTime::from_nanos(7_000_000_000);
        let group = |role| GroupView { role, obstacle: None, bar: None };
        let groups = roles.iter().zip(["a", "b", "c", "d", "e"]);
        let view = HostView {
            session: Some((LeaseId(1), deadline)),
            joined: true,
            groups: groups.map(|(role, name)| (name.into(), group(*role))).collect(),
            ..HostView::default()
        };
        let before = BootTime::from_nanos(6_999_999_999);
        assert_eq!(view.clone().at(before), view);
        for now in [deadline, deadline + Duration::from_secs(60)] {
            let view = view.clone().at(now);
            assert_eq!((view.session, view.joined), (None, false));
            let roles: Vec<_> = view.groups.values().map(|group| group.role).collect();
            assert_eq!(roles, [Draining, Draining, Resigning, Out, Out]);
        }
    }
}
