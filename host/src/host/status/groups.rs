//! The groups in the status of a host: who leads each, who stands by, and what is in the way.

use std::sync::Arc;

use super::{HostStatusSource, orders::order_entry};
use crate::{
    api::{GroupEntry, GroupRole, LeaderlessEntry, PauseEntry, StrangerEntry},
    term::{Gap, Gaps},
};
use soloist_config::GroupConfig;
use soloist_heart::{
    Group,
    clock::{BootTime, unix_ms},
};
use soloist_leadership::{CandidacyRole, GapReason, HostView, KnownRoster, RehearsalResult};
use soloist_stores::{ForeignCandidate, QueuedCandidate};
use soloist_text::rfc3339;

impl HostStatusSource {
    pub(super) fn group(&self, group: &Group, view: &HostView, known: &KnownRoster) -> GroupEntry {
        let (here, this) = (view.groups.get(group), &self.context.this);
        let config = self.context.config.groups.get(group).unwrap_or(&GroupConfig::DEFAULT);
        let gaps = self.context.gaps.borrow().clone();
        let (now, last) = (known.now(), known.last());
        let leader = self.leader(group, known, view);
        let queue = now.map_or(&[][..], |roster| roster.queue(group));
        let standbys = queue.iter().skip(usize::from(leader.is_some()));
        let last_known = last.filter(|_| now.is_none()).and_then(|roster| roster.leader(group));
        let next_leader =
            now.and_then(|roster| roster.next_leader(group)).filter(|_| leader.is_some());
        let is_next = next_leader.is_some_and(|next_leader| this.is(&next_leader.candidate));
        let next_leader = next_leader.map(|next_leader| next_leader.candidate.host.clone());
        let role = here.map_or(GroupRole::Out, |here| role(here.role, is_next));
        let remaining = view.session.filter(|_| role == GroupRole::Leader);
        let remaining = remaining.map(|(_, deadline)| deadline.since(BootTime::now()));
        let pause = last.and_then(|roster| roster.notes.pause_of(group));
        GroupEntry {
            leader: leader.map(|leader| leader.candidate.host.clone()),
            last_known_leader: last_known.map(|leader| leader.candidate.host.clone()),
            leader_url: leader.map(|leader| leader.candidate.url.clone()),
            fencing_token: leader.map(|leader| leader.key.fencing_token.0),
            next_leader,
            standbys: standbys.map(|standby| standby.candidate.host.clone()).collect(),
            role,
            leading_since: leader.and_then(|leader| leader.candidate.since).map(rfc3339),
            unproclaimed: leader.and_then(|leader| self.unproclaimed(leader, &gaps)),
            deadline_in_ms: remaining.map(|left| left.as_millis().try_into().unwrap_or(0)),
            obstacle: here.and_then(|here| {
                let of_host = view.obstacle.as_ref();
                of_host.or(here.bar.as_ref()).or(here.obstacle.as_ref()).cloned()
            }),
            strategy: config.strategy.to_string(),
            paused: pause.map(|pause| PauseEntry {
                keep_failover: pause.keep_failover,
                order: order_entry(&pause.order),
            }),
            spread_differs: now.and_then(|roster| {
                soloist_leadership::spread_disagreement(this, group, config, roster)
            }),
            leaderless: leaderless(group, &gaps),
            strangers: strangers(last.map_or(&[], |it| it.foreign_candidates(group)), &gaps),
        }
    }
}

impl HostStatusSource {
    /// Why the store does not say since when `leader` leads, if it or this host knows.
    fn unproclaimed(&self, leader: &QueuedCandidate, gaps: &Gaps) -> Option<String> {
        let term = gaps.unproclaimed.get(&leader.key.group).filter(|term| term.key == leader.key);
        if let Some(term) = term {
            return Some(term.to_string());
        }
        let own = leader.candidate.since.is_none() && self.context.this.is(&leader.candidate);
        match &*self.context.rehearsed.borrow() {
            RehearsalResult::Refused(reason) if own => {
                Some(format!("this host could not write that it leads: {reason}"))
            }
            _ => None,
        }
    }
}

fn role(role: CandidacyRole, is_next: bool) -> GroupRole {
    match role {
        CandidacyRole::Leader => GroupRole::Leader,
        CandidacyRole::Draining | CandidacyRole::Resigning => GroupRole::Draining,
        CandidacyRole::Standby if is_next => GroupRole::Next,
        CandidacyRole::Standby => GroupRole::Standby,
        CandidacyRole::Out => GroupRole::Out,
    }
}

/// Why nobody performs in a group, if nobody has for longer than a hand-over takes.
fn leaderless(group: &Group, gaps: &Gaps) -> Option<LeaderlessEntry> {
    let Gap { since_unix, reason, .. } = gaps.long_gap(group)?;
    let (key, lease) = match reason {
        GapReason::Unknown | GapReason::Nobody | GapReason::Grace | GapReason::Paused { .. } => {
            (None, None)
        }
        GapReason::Stranger(it) => (Some(it.key.to_string()), it.lease),
        GapReason::Silent { key, .. } => (Some(key.key.to_string()), Some(key.lease)),
    };
    let lease = lease.map(|lease| lease.to_string());
    Some(LeaderlessEntry { since: rfc3339(*since_unix), why: reason.to_string(), key, lease })
}

fn strangers(strangers: &[Arc<ForeignCandidate>], gaps: &Gaps) -> Vec<StrangerEntry> {
    let entry = |it: &Arc<ForeignCandidate>| StrangerEntry {
        key: it.key.to_string(),
        lease: it.lease.map(|lease| lease.to_string()),
        first_seen_at: rfc3339(gaps.strangers_seen.get(it).copied().unwrap_or_else(unix_ms)),
        remove: it.remove.to_string(),
    };
    strangers.iter().map(entry).collect()
}
