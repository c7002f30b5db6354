//! Whether this host could lead: looked at before it stands, and as long as it stands.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    time::interval,
};
use tokio_util::sync::CancellationToken;

use super::view::{HostView, Role};
use crate::{
    action::{Action, Preflight},
    election::{Event, Group},
    store::{Member, Roster},
    words::with_causes,
};

/// How often a host looks whether its actions could run.
const LOOK: Duration = Duration::from_millis(500);
/// How many looks in a row an address must be taken before that counts: a
/// leader that just stops, or a roster that just changes, is no obstacle.
const PATIENCE: u32 = 3;

/// Watches whether the actions could run here, and tells the heart.
pub struct Readiness {
    /// The actions, by group.
    pub actions: BTreeMap<Group, Vec<Arc<Action>>>,
    /// This host.
    pub member: Member,
    /// What is known of the cluster.
    pub roster: watch::Receiver<Option<Roster>>,
    /// What the heart lets others see.
    pub view: watch::Receiver<HostView>,
    /// Where events for the heart go in.
    pub events: UnboundedSender<Event>,
}

/// What was found in a group, look by look.
#[derive(Debug, Default)]
struct Findings {
    /// What the heart was told: nothing yet, ready, or why not.
    told: Option<Result<(), String>>,
    /// How many looks in a row an address was taken.
    taken: u32,
}

impl Readiness {
    /// Looks until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut findings: BTreeMap<Group, Findings> = BTreeMap::new();
        let mut looks = interval(LOOK);
        let mut roster = self.roster.clone();
        loop {
            let unknown = roster.borrow().is_none();
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
                // The first roster tells who may hold a taken address.
                Ok(()) = roster.changed(), if unknown => {}
            }
            for (group, actions) in &self.actions {
                // A term hears of its own actions.
                let role = self.view.borrow().groups.get(group).map(|view| view.role);
                if !matches!(role, Some(Role::Leader | Role::Draining)) {
                    self.look(group, actions, findings.entry(group.clone()).or_default());
                }
            }
        }
    }

    fn look(&self, group: &Group, actions: &[Arc<Action>], findings: &mut Findings) {
        let obstacle = actions.iter().find_map(|action| action.preflight().err());
        let sibling = self.roster.borrow().as_ref().map(|roster| self.sibling_leads(roster, group));
        if let Some(verdict) = findings.judge(obstacle, sibling) {
            self.tell(group, verdict);
        }
    }

    /// Whether another host of this machine leads, or may: then it rightly holds the address.
    fn sibling_leads(&self, roster: &Roster, group: &Group) -> bool {
        let own = self.view.borrow().session.map(|(lease, _)| lease);
        let Some(leader) = roster.leader(group).filter(|leader| Some(leader.key.lease) != own)
        else {
            return false;
        };
        let member = roster.members.iter().find(|(lease, _)| *lease == leader.key.lease);
        member.is_none_or(|(_, member)| member.machine == self.member.machine)
    }

    fn tell(&self, group: &Group, verdict: Result<(), String>) {
        let group = group.clone();
        let event = match verdict {
            Ok(()) => Event::Ready { group },
            Err(reason) => Event::NotReady { group, reason },
        };
        // Without a driver nobody stands.
        let _ = self.events.send(event);
    }
}

impl Findings {
    /// What to tell the heart, if that is news. `sibling`: whether a sibling leads, if it is known.
    fn judge(
        &mut self,
        obstacle: Option<Preflight>,
        sibling: Option<bool>,
    ) -> Option<Result<(), String>> {
        let in_use = matches!(obstacle, Some(Preflight::AddressInUse { .. }));
        let verdict = match (obstacle, sibling) {
            (Some(obstacle), Some(false)) if in_use => {
                self.taken += 1;
                (self.taken >= PATIENCE).then(|| Err(with_causes(&obstacle)))
            }
            (Some(_), None) if in_use => None,
            (Some(obstacle), _) if !in_use => Some(Err(with_causes(&obstacle))),
            _ => Some(Ok(())),
        }?;
        if verdict.is_ok() {
            self.taken = 0;
        }
        (self.told.as_ref() != Some(&verdict)).then(|| {
            self.told = Some(verdict.clone());
            verdict
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken() -> Option<Preflight> {
        let address = ([127, 0, 0, 1], 3000).into();
        Some(Preflight::AddressInUse { action: "web".into(), address })
    }

    #[test]
    fn a_free_address_is_told_once() {
        let mut findings = Findings::default();
        assert_eq!(findings.judge(None, None), Some(Ok(())));
        assert_eq!(findings.judge(None, Some(false)), None);
    }

    #[test]
    fn a_sibling_that_leads_may_hold_the_address() {
        let mut findings = Findings::default();
        assert_eq!(findings.judge(taken(), Some(true)), Some(Ok(())));
    }

    #[test]
    fn a_taken_address_counts_when_it_stays_taken_and_nobody_here_leads() {
        let mut findings = Findings::default();
        assert_eq!(findings.judge(taken(), None), None);
        assert_eq!(findings.judge(taken(), Some(false)), None);
        assert_eq!(findings.judge(taken(), Some(false)), None);
        assert!(findings.judge(taken(), Some(false)).is_some_and(|verdict| verdict.is_err()));
        assert_eq!(findings.judge(taken(), Some(false)), None, "told before");
        assert_eq!(findings.judge(None, Some(false)), Some(Ok(())));
    }
}
