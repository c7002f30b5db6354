//! What a host says of itself: its heart, its actions, and the roster, put together.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use tokio::sync::watch;

use crate::{
    action::{
        self, Action, ActionDirectory, ActionState, ActionStatus, Programme, RefusedPlugin,
        TaskPools,
    },
    api::{
        ActionEntry, GroupEntry, GroupRole, HostEntry, LeaderlessEntry, MemberEntry, Status,
        StatusSource, StoreEntry, StoreState, StrangerEntry,
    },
    term::{Gap, GapReason, Gaps},
    wall_clock::WallClock,
};
use soloist_config::{GroupConfig, Mount};
use soloist_guests::plugin::PluginEngine;
use soloist_heart::{
    Group, LeaseId,
    clock::{BootTime, ClockVerdict, unix_ms},
};
use soloist_leadership::{HostView, KnownRoster, RehearsalResult, RosterView};
use soloist_stores::{
    FailedAction, ForeignCandidate, Member, OperatorOrder, QueuedCandidate, Roster,
};
use soloist_telemetry::measure::{self, Measurements};
use soloist_text::{rfc3339, with_reason};

/// Looks at everything and changes nothing.
pub(super) struct HostStatusSource {
    pub(super) pools: Arc<TaskPools>,
    pub(super) cluster: String,
    pub(super) member: Member,
    pub(super) groups: BTreeMap<Group, GroupConfig>,
    /// The strategies that cannot be had.
    pub(super) strategies: Vec<RefusedPlugin>,
    pub(super) listen: SocketAddr,
    pub(super) store: String,
    pub(super) programme: watch::Receiver<Arc<Programme>>,
    pub(super) directory: ActionDirectory,
    pub(super) engine: Arc<PluginEngine>,
    pub(super) view: watch::Receiver<HostView>,
    pub(super) sight: RosterView,
    pub(super) rehearsed: watch::Receiver<RehearsalResult>,
    pub(super) gaps: watch::Receiver<Gaps>,
    pub(super) clock: WallClock,
    pub(super) measurements: Measurements,
}

impl StatusSource for HostStatusSource {
    fn status(&self) -> Status {
        let view = self.view.borrow().clone();
        let known = self.sight.current();
        let led = known.last().into_iter().flat_map(|roster| roster.groups.keys());
        let groups: BTreeSet<_> = view.groups.keys().chain(led).collect();
        let entry = |group: &Group| (group.to_string(), self.group(group, &view, &known));
        Status {
            cluster: self.cluster.clone(),
            host: HostEntry {
                name: self.member.name.clone(),
                listen: self.listen.to_string(),
                version: self.member.version.clone(),
                obstacle: view.obstacle.clone(),
                warning: view.warning.clone(),
                clock: self
                    .clock
                    .verdict()
                    .filter(|it| *it != ClockVerdict::Right)
                    .map(|it| it.to_string()),
            },
            store: self.store(&view, &known),
            groups: groups.into_iter().map(entry).collect(),
            members: members(&known),
            removed: removed(&known),
            actions: self.actions(known.now()),
        }
    }

    fn metrics(&self) -> String {
        let view = self.view.borrow().clone();
        let known = self.sight.current();
        let gaps = self.gaps.borrow().clone();
        for (group, here) in &view.groups {
            let token = leader(group, &known, &gaps).map(|standing| standing.key.token.0);
            measure::group(
                group.as_str(),
                here.role == soloist_leadership::GroupRole::Leader,
                token,
            );
            measure::leaderless(group.as_str(), gaps.duration(group));
        }
        measure::instances(self.engine.live_instances());
        measure::refused_actions(self.programme.borrow().refused.len() + self.strategies.len());
        for task in self.pools.offers().borrow().iter() {
            measure::task_load(task, self.pools.load(task));
        }
        self.measurements.render()
    }

    fn ready(&self) -> Result<(), String> {
        let view = self.view.borrow();
        // Before what may be mended by itself.
        if let Some(held) = &view.restart_reason {
            return Err(format!("not ready to lead: {held}"));
        }
        if let Some(obstacle) = &view.obstacle {
            return Err(obstacle.clone());
        }
        if session(&view).is_none() {
            let reason = match (view.store_error.as_deref(), view.session) {
                (Some(error), _) => error,
                (None, Some(_)) => "its lease has run out, and this host has not noticed yet",
                (None, None) => "it has not answered yet",
            };
            return Err(format!("no session in the store {}: {reason}", self.store));
        }
        match &*self.rehearsed.borrow() {
            RehearsalResult::Accepted => {}
            RehearsalResult::NotYet => return Err("no campaign was rehearsed yet".to_owned()),
            RehearsalResult::Refused(reason) => {
                return Err(format!("no campaign could be made: {reason}"));
            }
        }
        if !view.joined {
            return Err("it is not among the members yet".to_owned());
        }
        for (group, view) in &view.groups {
            if let Some(obstacle) = &view.obstacle {
                return Err(format!("not ready to lead {group}: {obstacle}"));
            }
        }
        self.check_permitted()
    }
}

impl HostStatusSource {
    /// Whether people let this host lead, and no key that is in the way of all hosts.
    fn check_permitted(&self) -> Result<(), String> {
        let (known, name) = (self.sight.current(), &self.member.name);
        if let Some(drain) = known.now().and_then(|roster| roster.notes.drained.get(name)) {
            let drained = by_whom("drained", &drain.order);
            return Err(format!("{drained}; `soloist undrain {name}` lets it stand again"));
        }
        let gaps = self.gaps.borrow();
        let in_the_way = gaps.groups.iter().find_map(|(group, gap)| match &gap.why {
            // It may be about to say so.
            GapReason::Silent { .. } | GapReason::Frozen { .. }
                if gaps.blamed_gap(group).is_none() =>
            {
                None
            }
            why
            @ (GapReason::Stranger(_) | GapReason::Silent { .. } | GapReason::Frozen { .. }) => {
                Some((group, why))
            }
            GapReason::Unknown | GapReason::Nobody => None,
        });
        match in_the_way {
            Some((group, why)) => Err(format!("nobody can lead {group} now: {why}")),
            None => Ok(()),
        }
    }

    fn store(&self, view: &HostView, known: &KnownRoster) -> StoreEntry {
        let said = view.store_error.clone().or_else(|| view.restart_reason.clone());
        let (state, last_error) = match (session(view), &*self.rehearsed.borrow()) {
            (None, _) => (StoreState::Lost, said),
            (Some(_), RehearsalResult::Refused(reason)) => {
                (StoreState::Unwritable, Some(reason.clone()))
            }
            (Some(_), _) => (StoreState::Ok, said),
        };
        let (current, seen) = (known.now().is_some(), known.seen().map(rfc3339));
        StoreEntry { label: self.store.clone(), state, last_error, current, seen }
    }

    fn group(&self, group: &Group, view: &HostView, known: &KnownRoster) -> GroupEntry {
        let here = view.groups.get(group);
        let config = self.groups.get(group).unwrap_or(&GroupConfig::DEFAULT);
        let gaps = self.gaps.borrow().clone();
        let leader = leader(group, known, &gaps);
        let queue = known.now().map_or(&[][..], |roster| roster.queue(group));
        let standbys = queue.iter().skip(usize::from(leader.is_some()));
        let standbys: Vec<_> = standbys.map(|each| each.candidate.host.clone()).collect();
        let before = known.last().filter(|_| known.now().is_none());
        let before = before.and_then(|roster| roster.leader(group));
        let pause = known.last().and_then(|roster| roster.notes.pause_of(group));
        let heir = known.now().and_then(|roster| roster.heir(group));
        let heir = heir.filter(|_| leader.is_some()).map(|heir| heir.candidate.host.clone());
        let role = here.map_or(GroupRole::Out, |here| match here.role {
            soloist_leadership::GroupRole::Leader => GroupRole::Leader,
            soloist_leadership::GroupRole::Draining | soloist_leadership::GroupRole::Resigning => {
                GroupRole::Draining
            }
            soloist_leadership::GroupRole::Standby if heir.as_ref() == Some(&self.member.name) => {
                GroupRole::Heir
            }
            soloist_leadership::GroupRole::Standby => GroupRole::Standby,
            soloist_leadership::GroupRole::Out => GroupRole::Out,
        });
        let leads = role == GroupRole::Leader;
        let remaining = view.session.filter(|_| leads).map(|(_, d)| d.since(BootTime::now()));
        GroupEntry {
            leader: leader.map(|standing| standing.candidate.host.clone()),
            last_known_leader: before.map(|standing| standing.candidate.host.clone()),
            leader_url: leader.map(|standing| standing.candidate.url.clone()),
            token: leader.map(|standing| standing.key.token.0),
            heir,
            standbys,
            role,
            since: leader.and_then(|standing| standing.candidate.since).map(rfc3339),
            lease_remaining_ms: remaining.map(|left| left.as_millis().try_into().unwrap_or(0)),
            obstacle: here.and_then(|here| {
                let whole = view.obstacle.as_ref();
                whole.or(here.bar.as_ref()).or(here.obstacle.as_ref()).cloned()
            }),
            strategy: config.strategy.to_string(),
            paused: pause.map(|pause| {
                let how = if pause.freeze { "frozen" } else { "paused" };
                by_whom(how, &pause.order)
            }),
            spread_differs: known.now().and_then(|roster| {
                soloist_leadership::spread_disagreement(&self.member.name, group, config, roster)
            }),
            leaderless: leaderless(group, &gaps),
            strangers: strangers(
                known.last().map_or(&[], |it| it.foreign_candidates(group)),
                &gaps,
            ),
        }
    }
}

/// The session of this host, as long as its lease lasts. Who should notice its end may hang.
fn session(view: &HostView) -> Option<LeaseId> {
    view.session.filter(|(_, deadline)| *deadline > BootTime::now()).map(|(lease, _)| lease)
}

/// Who leads a group, as far as that is known now: who heads its queue, unless that has not
/// performed for longer than a hand-over takes.
fn leader<'a>(group: &Group, known: &'a KnownRoster, gaps: &Gaps) -> Option<&'a QueuedCandidate> {
    known.now()?.leader(group).filter(|_| gaps.long_gap(group).is_none())
}

/// That nobody performs, if that is so, and more than the moment of a hand-over.
fn leaderless(group: &Group, gaps: &Gaps) -> Option<LeaderlessEntry> {
    let Gap { since_unix, why, .. } = gaps.long_gap(group)?;
    let (key, lease) = match why {
        GapReason::Unknown | GapReason::Nobody | GapReason::Frozen { .. } => (None, None),
        GapReason::Stranger(it) => (Some(it.key.to_string()), it.lease),
        GapReason::Silent { key, .. } => (Some(key.key.to_string()), Some(key.lease)),
    };
    let lease = lease.map(|lease| lease.to_string());
    Some(LeaderlessEntry { since: rfc3339(*since_unix), why: why.to_string(), key, lease })
}

fn strangers(strangers: &[Arc<ForeignCandidate>], gaps: &Gaps) -> Vec<StrangerEntry> {
    let entry = |it: &Arc<ForeignCandidate>| StrangerEntry {
        key: it.key.to_string(),
        lease: it.lease.map(|lease| lease.to_string()),
        seen: rfc3339(gaps.seen.get(it).copied().unwrap_or_else(unix_ms)),
        remove: it.remove.to_string(),
    };
    strangers.iter().map(entry).collect()
}

impl HostStatusSource {
    fn actions(&self, roster: Option<&Roster>) -> Vec<ActionEntry> {
        let programme = Arc::clone(&self.programme.borrow());
        let mounts = action::mounts(&programme.actions, &programme.refused);
        let entry = |action: &Arc<Action>| {
            let mut status = action.status();
            status.listen = self.directory.bound_address(action).or(status.listen);
            let parked = roster.and_then(|it| it.parked(action.group(), action.name()));
            let entry = action_entry(status, mounts.get(action.name()), parked);
            ActionEntry { tls: action.tls().is_some(), ..entry }
        };
        let actions = programme.actions.iter().map(entry);
        let refused = programme.refused.iter().chain(&self.strategies);
        actions.chain(refused.map(refused_entry)).collect()
    }
}

/// Those that are there, and those that were.
fn members(known: &KnownRoster) -> Vec<MemberEntry> {
    let Some(roster) = known.last() else { return Vec::new() };
    let were = roster.notes.known.values().map(|known| (known.member.name.as_str(), &known.member));
    let there = roster.members.iter().map(|(_, member)| (member.name.as_str(), &**member));
    // What one says that is there is newer.
    let all: BTreeMap<_, _> = were.chain(there).collect();
    let entry = |member: &Member| {
        let entry = member_entry(member, roster);
        // Of what was seen before, nobody knows whether it is still there.
        MemberEntry { live: entry.live.filter(|_| known.now().is_some()), ..entry }
    };
    all.into_values().map(entry).collect()
}

/// Those that people have removed.
fn removed(known: &KnownRoster) -> BTreeMap<String, String> {
    let removed = known.last().into_iter().flat_map(|roster| &roster.notes.removed);
    removed.map(|(name, removal)| (name.clone(), by_whom("removed", &removal.order))).collect()
}

fn member_entry(member: &Member, roster: &Roster) -> MemberEntry {
    // Its entry hangs on its lease: it is there as long as its session is.
    let live = roster.member(&member.name).is_some();
    let known = roster.notes.known.get(&member.name);
    let drained = roster.notes.drained.get(&member.name);
    MemberEntry {
        name: member.name.clone(),
        url: member.url.clone(),
        labels: member.labels.clone(),
        tasks: member.tasks.clone(),
        joined: rfc3339(member.joined),
        live: Some(live),
        first_seen: known.map(|known| rfc3339(known.first_seen)),
        last_seen: known.filter(|_| !live).map(|known| rfc3339(known.last_seen)),
        drained: drained.map(|drain| by_whom("drained", &drain.order)),
        version: member.version.clone(),
    }
}

/// As in `drained by ada: new disks`.
fn by_whom(what: &str, order: &OperatorOrder) -> String {
    with_reason(&format!("{what} by {}", order.by), &order.reason)
}

/// What is parked is so on every host, for what happened on the leader.
fn action_entry(
    action: ActionStatus,
    mount: Option<&Mount>,
    parked: Option<&FailedAction>,
) -> ActionEntry {
    let state = if parked.is_some() { ActionState::Parked } else { action.state };
    ActionEntry {
        name: action.name.to_string(),
        kind: action.kinds.to_string(),
        group: action.group.to_string(),
        state: state.as_str().to_owned(),
        plugin: action.plugin,
        sha256: action.sha256.to_string(),
        restarts: action.restarts,
        listen: action.listen.map(|listen| listen.to_string()),
        path: mount.map(|mount| mount.path().to_owned()),
        paths: mount.iter().flat_map(|it| &it.paths).map(ToString::to_string).collect(),
        last_error: parked.map(|failing| failing.reason.clone()).or(action.last_error),
        ..ActionEntry::default()
    }
}

/// What lies in the plugins folder and is no action is shown where one looks for it.
fn refused_entry(refused: &RefusedPlugin) -> ActionEntry {
    ActionEntry {
        name: refused.name.clone(),
        state: "refused".to_owned(),
        last_error: Some(refused.reason.clone()),
        ..ActionEntry::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use soloist_stores::{Drain, KnownHost, Notes, ProcessLocation};

    prop_compose! {
        fn member()(
            (name, url, version) in any::<(String, String, String)>(),
            labels in any::<BTreeMap<String, String>>(),
            (joined, priority) in any::<(u64, i64)>(),
        ) -> Member {
            let machine = url.clone();
            let (failing, tasks) = (BTreeMap::new(), BTreeSet::new());
            let process = ProcessLocation::default();
            Member {
                name, url, labels, priority, joined, version, machine, process, failing, tasks,
            }
        }
    }

    /// What notices the end of a lease may hang.
    #[test]
    fn a_session_whose_lease_has_run_out_is_none() {
        let now = BootTime::now();
        let second = std::time::Duration::from_secs(1);
        for (deadline, live) in [(now + second * 60, true), (now, false)] {
            let view = HostView { session: Some((LeaseId(1), deadline)), ..HostView::default() };
            assert_eq!(session(&view).is_some(), live);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whoever can write to the store can write anything there that reads as a member.
        #[test]
        fn whatever_stands_in_the_store_is_told(
            there in vec(member(), 0..4),
            gone in vec((member(), any::<(u64, u64)>(), any::<(String, String, u64)>()), 0..4),
        ) {
            let mut notes = Notes::default();
            for (member, (first_seen, last_seen), (by, reason, since)) in gone {
                let drain = Drain { order: OperatorOrder { by, reason, since } };
                notes.drained.insert(member.name.clone(), drain);
                notes.known.insert(member.name.clone(), KnownHost { first_seen, last_seen, member });
            }
            let members = there.into_iter().map(|member| (soloist_heart::LeaseId(1), member.into()));
            let mut roster = Roster { members: members.collect(), ..Roster::default() };
            roster.members.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
            roster.notes = notes.into();
            let told = super::members(&super::KnownRoster::Now(roster));
            let json = serde_json::to_string(&told).unwrap();
            prop_assert_eq!(serde_json::from_str::<Vec<MemberEntry>>(&json).unwrap(), told);
        }
    }
}
