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
    health::ActionHealth,
    readiness_check::{LocalGroup, ReadinessCheck},
};
use crate::{
    action::{Action, ActionDirectory, Programme},
    wall_clock::WallClock,
};
use soloist_heart::{Group, HeartEvent, clock::BootTime};
use soloist_leadership::{HostView, bar};
use soloist_stores::{Member, Roster};

/// How often a host looks whether its actions could run.
const LOOK: Duration = Duration::from_millis(500);

/// Watches whether the actions could run here, and tells the heart.
pub struct ReadinessWatch {
    /// What this host performs.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// How the addresses are that it has for good.
    pub directory: ActionDirectory,
    /// This host.
    pub member: Member,
    /// What is known of the cluster.
    pub roster: watch::Receiver<Option<Roster>>,
    /// What the heart lets others see.
    pub view: watch::Receiver<HostView>,
    /// What has failed here.
    pub health: ActionHealth,
    /// What jobs go by.
    pub clock: WallClock,
    /// Where events for the heart go in.
    pub events: UnboundedSender<HeartEvent>,
}

impl ReadinessWatch {
    /// Looks until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut findings: BTreeMap<Group, ReadinessCheck> = BTreeMap::new();
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
            self.health.apply_programme(&programme);
            // Those that once had actions as well.
            let actions = programme.by_group();
            for group in programme.groups() {
                findings.entry(group).or_default();
            }
            let known = self.roster.borrow().clone();
            for (group, findings) in &mut findings {
                let here = LocalGroup::of(group, &self.view.borrow(), known.as_ref());
                let clock = self.wrong_clock(&programme, group);
                let obstacle = || programme.obstacles.get(group).cloned();
                let actions = actions.get(group).map_or(&[][..], Vec::as_slice);
                let event = findings.next_event(here, clock, |findings| match obstacle() {
                    Some(reason) => Some(Err(reason)),
                    None => self.judge_actions(&here, actions, findings),
                });
                // Without a driver nobody stands.
                event.into_iter().for_each(|event| drop(self.events.send(event)));
            }
        }
    }

    /// Why this host is not to lead `group`, if that is its clock.
    fn wrong_clock(&self, programme: &Programme, group: &Group) -> Option<String> {
        let leave = self.clock.permission(self.clock.now());
        leave.wrong_clock().filter(|_| programme.needs_wall_time(group)).map(ToString::to_string)
    }

    /// Whether the actions of a group could run here; nothing, if that is not known yet.
    fn judge_actions(
        &self,
        here: &LocalGroup<'_>,
        actions: &[Arc<Action>],
        findings: &mut ReadinessCheck,
    ) -> Option<Result<(), String>> {
        if actions.is_empty() {
            return Some(Err("no action of this host belongs to it".to_owned()));
        }
        if let Some(reason) = self.health.stands_back(here.group, BootTime::now()) {
            return Some(Err(reason));
        }
        // Many actions may share an address.
        let mut asked = BTreeSet::new();
        let mut first = |action: &&Arc<Action>| action.listen().is_none_or(|it| asked.insert(it));
        let firsts = actions.iter().filter(|action| first(action));
        let obstacle = firsts.filter_map(|action| self.directory.preflight(action).err()).next();
        if obstacle.is_none() && !self.may_be_ready(here) {
            return None;
        }
        findings.judge_address(obstacle, here.roster.map(|roster| self.sibling_leads(here, roster)))
    }

    /// Whether it is known what people want of this host: one that is drained must not
    /// stand for a moment, so the heart must know of that before.
    fn may_be_ready(&self, here: &LocalGroup<'_>) -> bool {
        let Some(roster) = here.roster else { return false };
        bar(&self.member.name, here.group, roster).is_none() || here.barred
    }

    /// Whether another host of this machine leads, or may: then it rightly holds the address.
    fn sibling_leads(&self, here: &LocalGroup<'_>, roster: &Roster) -> bool {
        let leader = roster.leader(here.group);
        let leader = leader.filter(|leader| Some(leader.key.lease) != here.session);
        let Some(leader) = leader else { return false };
        let member = roster.member_of(leader.key.lease);
        member.is_none_or(|member| member.machine == self.member.machine)
    }
}
