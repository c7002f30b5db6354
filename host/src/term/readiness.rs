//! Whether this host could lead: looked at before it stands, and as long as it stands.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    time::interval,
};
use tokio_util::sync::CancellationToken;

use super::{
    health::Health,
    strategist::bar,
    view::{HostView, Role},
};
use crate::{
    action::{Action, Lobby, Preflight, Programme},
    clock::{BootTime, Leave, WallClock},
    election::{Cause, Event, Group, Token},
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
    /// What this host performs.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// How the addresses are that it has for good.
    pub lobby: Lobby,
    /// This host.
    pub member: Member,
    /// What is known of the cluster.
    pub roster: watch::Receiver<Option<Roster>>,
    /// What the heart lets others see.
    pub view: watch::Receiver<HostView>,
    /// What has failed here.
    pub health: Health,
    /// What jobs go by.
    pub clock: WallClock,
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
    /// The term that was last asked to hand over.
    handed_over: Option<Token>,
}

impl Readiness {
    /// Looks until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut findings: BTreeMap<Group, Findings> = BTreeMap::new();
        let mut looks = interval(LOOK);
        let (mut roster, mut programme) = (self.roster.clone(), self.programme.clone());
        loop {
            let unknown = roster.borrow().is_none();
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => {}
                // The first roster tells who may hold a taken address.
                Ok(()) = roster.changed(), if unknown => {}
                Ok(()) = programme.changed() => {}
            }
            let programme = Arc::clone(&programme.borrow_and_update());
            self.health.compare(&programme);
            // Those that once had actions as well.
            let actions = programme.by_group();
            for group in programme.groups() {
                findings.entry(group).or_default();
            }
            for (group, findings) in &mut findings {
                let wrong = self.wrong_clock(&programme, group);
                let role = self.view.borrow().groups.get(group).map(|view| view.role);
                if matches!(role, Some(Role::Leader | Role::Draining)) {
                    // A term hears of its own actions, but not of the time.
                    wrong.into_iter().for_each(|it| self.hand_over(group, it, findings));
                    continue;
                }
                if let Some(reason) = wrong.or_else(|| programme.obstacles.get(group).cloned()) {
                    let verdict = findings.note(Err(reason));
                    verdict.into_iter().for_each(|it| self.tell(group, it));
                } else {
                    self.look(group, actions.get(group).map_or(&[], Vec::as_slice), findings);
                }
            }
        }
    }

    /// Why this host is not to lead `group`, if that is its clock.
    fn wrong_clock(&self, programme: &Programme, group: &Group) -> Option<String> {
        match self.clock.leave(self.clock.now()) {
            Leave::Refused(verdict) if programme.keeps_time(group) => Some(verdict.to_string()),
            _ => None,
        }
    }

    /// Asks once for the end of a term that goes on.
    fn hand_over(&self, group: &Group, reason: String, findings: &mut Findings) {
        let Some((lease, _)) = self.view.borrow().session else { return };
        let key = self.roster.borrow().as_ref().and_then(|roster| {
            let own = roster.leader(group).filter(|leader| leader.key.lease == lease);
            own.map(|leader| leader.key.clone())
        });
        if let Some(key) = key.filter(|key| findings.handed_over != Some(key.token)) {
            findings.handed_over = Some(key.token);
            let cause = Cause::Asked { by: "the comparison of clocks".to_owned(), reason };
            // Without a driver there is no term.
            let _ = self.events.send(Event::HandOver { key, cause });
        }
    }

    fn look(&self, group: &Group, actions: &[Arc<Action>], findings: &mut Findings) {
        if actions.is_empty() {
            let reason = "no action of this host belongs to it".to_owned();
            return findings.note(Err(reason)).into_iter().for_each(|it| self.tell(group, it));
        }
        if let Some(reason) = self.health.stands_back(group, BootTime::now()) {
            return findings.note(Err(reason)).into_iter().for_each(|it| self.tell(group, it));
        }
        // Many actions may share an address.
        let mut asked = BTreeSet::new();
        let mut first = |action: &&Arc<Action>| action.listen().is_none_or(|it| asked.insert(it));
        let firsts = actions.iter().filter(|action| first(action));
        let obstacle = firsts.filter_map(|action| self.lobby.preflight(action).err()).next();
        if obstacle.is_none() && !self.may_be_ready(group) {
            return;
        }
        let sibling = self.roster.borrow().as_ref().map(|roster| self.sibling_leads(roster, group));
        if let Some(verdict) = findings.judge(obstacle, sibling) {
            self.tell(group, verdict);
        }
    }

    /// Whether it is known what people want of this host: one that is drained must not
    /// stand for a moment, so the heart must know of that before.
    fn may_be_ready(&self, group: &Group) -> bool {
        let roster = self.roster.borrow();
        let Some(roster) = &*roster else { return false };
        let barred = || self.view.borrow().groups.get(group).is_some_and(|view| view.bar.is_some());
        bar(&self.member.name, group, roster).is_none() || barred()
    }

    /// Whether another host of this machine leads, or may: then it rightly holds the address.
    fn sibling_leads(&self, roster: &Roster, group: &Group) -> bool {
        let own = self.view.borrow().session.map(|(lease, _)| lease);
        let Some(leader) = roster.leader(group).filter(|leader| Some(leader.key.lease) != own)
        else {
            return false;
        };
        let member = roster.member_of(leader.key.lease);
        member.is_none_or(|member| member.machine == self.member.machine)
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
        self.note(verdict)
    }

    /// `verdict`, if the heart was not told so before.
    fn note(&mut self, verdict: Result<(), String>) -> Option<Result<(), String>> {
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
