//! Checks whether this host could lead each group, before it stands for election and as long as it
//! stands.

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

use super::health::ActionHealth;
use crate::{
    action::{Action, ActionDirectory, Programme},
    http::PreflightError,
    wall_clock::WallClock,
};
use soloist_heart::{Group, HeartEvent, clock::BootTime};
use soloist_leadership::{AddressObstacle, HostView, LocalGroup, ReadinessCheck, bar};
use soloist_stores::{Member, Roster};
use soloist_text::with_causes;

/// How often a host checks whether its actions could run.
const CHECK: Duration = Duration::from_millis(500);

/// Watches whether the actions could run here, and reports it to the heart.
pub struct ReadinessWatch {
    /// The actions of this host.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// Knows the listeners that the relay keeps open.
    pub directory: ActionDirectory,
    /// The entry of this host among the members.
    pub member: Member,
    /// The last roster that was read from the store.
    pub roster: watch::Receiver<Option<Roster>>,
    /// What the heart shows of itself.
    pub view: watch::Receiver<HostView>,
    /// The actions that have failed here.
    pub health: ActionHealth,
    /// The clock that schedules go by.
    pub clock: WallClock,
    /// The heart's inbox.
    pub events: UnboundedSender<HeartEvent>,
}

impl ReadinessWatch {
    /// Checks all groups twice a second, and whenever the programme changes, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut checks: BTreeMap<Group, ReadinessCheck> = BTreeMap::new();
        let mut ticks = interval(CHECK);
        let (mut roster, mut programme) = (self.roster.clone(), self.programme.clone());
        loop {
            let unknown = roster.borrow().is_none();
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
                // With the first roster it is known which host may hold a taken address.
                Ok(()) = roster.changed(), if unknown => {}
                Ok(()) = programme.changed() => {}
            }
            let programme = Arc::clone(&programme.borrow_and_update());
            self.health.apply_programme(&programme);
            // Groups that once had actions are checked as well.
            let actions = programme.by_group();
            for group in programme.groups() {
                checks.entry(group).or_default();
            }
            let known = self.roster.borrow().clone();
            for (group, check) in &mut checks {
                let here = LocalGroup::of(group, &self.view.borrow(), known.as_ref());
                let clock = self.wrong_clock(&programme, group);
                let obstacle = || programme.obstacles.get(group).cloned();
                let actions = actions.get(group).map_or(&[][..], Vec::as_slice);
                let event = check.next_event(here, clock, |check| match obstacle() {
                    Some(reason) => Some(Err(reason)),
                    None => self.judge_actions(&here, actions, check),
                });
                // Without a driver this host does not stand, and the event does not matter.
                event.into_iter().for_each(|event| drop(self.events.send(event)));
            }
        }
    }

    /// Why this host must not lead `group`, if that has a schedule and the clock here is wrong.
    fn wrong_clock(&self, programme: &Programme, group: &Group) -> Option<String> {
        let leave = self.clock.permission(self.clock.now());
        leave.wrong_clock().filter(|_| programme.needs_wall_time(group)).map(ToString::to_string)
    }

    /// Whether the actions of a group could run here; none if that is not known yet.
    fn judge_actions(
        &self,
        here: &LocalGroup<'_>,
        actions: &[Arc<Action>],
        check: &mut ReadinessCheck,
    ) -> Option<Result<(), String>> {
        if actions.is_empty() {
            return Some(Err("this host has no action of that group".to_owned()));
        }
        if let Some(reason) = self.health.stands_back(here.group, BootTime::now()) {
            return Some(Err(reason));
        }
        // Actions may share an address, which is checked once.
        let mut asked = BTreeSet::new();
        let mut first = |action: &&Arc<Action>| action.listen().is_none_or(|it| asked.insert(it));
        let firsts = actions.iter().filter(|action| first(action));
        let obstacle = firsts.filter_map(|action| self.directory.preflight(action).err()).next();
        if obstacle.is_none() && !self.may_be_ready(here) {
            return None;
        }
        let obstacle = obstacle.map(|error| AddressObstacle {
            is_in_use: matches!(error, PreflightError::AddressInUse { .. }),
            reason: with_causes(&error),
        });
        check.judge_address(obstacle, here.roster.map(|roster| self.sibling_leads(here, roster)))
    }

    /// Whether it is safe to report readiness. A host that is drained must not stand even for a
    /// moment, so the heart must know of the drain first.
    fn may_be_ready(&self, here: &LocalGroup<'_>) -> bool {
        let Some(roster) = here.roster else { return false };
        bar(&self.member.name, here.group, roster).is_none() || here.barred
    }

    /// Whether another host of this machine leads, or may do so: then it rightly holds the address.
    fn sibling_leads(&self, here: &LocalGroup<'_>, roster: &Roster) -> bool {
        let leader = roster.leader(here.group);
        let leader = leader.filter(|leader| Some(leader.key.lease) != here.session);
        let Some(leader) = leader else { return false };
        let member = roster.member_of(leader.key.lease);
        member.is_none_or(|member| member.machine == self.member.machine)
    }
}
