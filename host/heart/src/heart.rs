//! The state machine of a whole host: its session and its candidacies in all groups.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    EndCause, FencingToken, Group, GroupCandidacy, HeartCommand, HeartEvent, LeaderKey, LeaseId,
    Session, store_setback::StoreSetback,
};
use crate::{clock::BootTime, timings::Timings};

/// Whether the host is among the members. A host that is not a member stands in no election.
#[derive(Clone, Debug, Default)]
struct Membership {
    /// The lease of the session with which it joined.
    lease: Option<LeaseId>,
    /// Why it cannot join.
    obstacle: Option<String>,
}

/// One host's session, and its candidacy in each group.
#[derive(Clone, Debug)]
pub struct Heart {
    host: Arc<str>,
    timings: Timings,
    session: Session,
    candidacies: BTreeMap<Group, GroupCandidacy>,
    membership: Membership,
    /// Whether this host has been told to stand for nothing any more.
    standing_down: bool,
    /// Whether its session is to end as well.
    stopping: bool,
    /// Why it stands for nothing until the store's fencing tokens are raised.
    setback: Option<StoreSetback>,
}

impl Heart {
    /// A host that leads nothing and has not heard from the store yet.
    pub fn new(host: Arc<str>, timings: Timings, groups: impl IntoIterator<Item = Group>) -> Self {
        let candidacy = |group: Group| (group.clone(), GroupCandidacy::new(group, timings));
        Self {
            host,
            timings,
            session: Session::new(timings),
            candidacies: groups.into_iter().map(candidacy).collect(),
            membership: Membership::default(),
            standing_down: false,
            stopping: false,
            setback: None,
        }
    }

    /// Processes one event at `now` and returns the commands to carry out, in order.
    #[must_use]
    pub fn step(&mut self, event: HeartEvent, now: BootTime) -> Vec<HeartCommand> {
        let mut out = Vec::new();
        // Whatever the event is, check the time first: a host that was frozen must notice that its
        // deadline has passed before it acts on an answer that was waiting for it.
        if self.session.expire(now) {
            self.end_all(EndCause::DeadlinePassed, now, &mut out);
        }
        self.handle_event(event, now, &mut out);
        self.advance(now, &mut out);
        out
    }

    /// The latest moment at which the caller must feed the next tick.
    #[must_use]
    pub fn next_wake(&self) -> BootTime {
        // Without a session there is nothing that an idle candidacy would wake up for.
        let stands =
            |c: &&GroupCandidacy| !c.is_idle() || (self.joined().is_some() && !self.is_withdrawn());
        let groups = self.candidacies.values().filter(stands).map(GroupCandidacy::next_wake);
        let setback =
            self.setback.as_ref().filter(|_| !self.standing_down).map(StoreSetback::next_wake);
        groups.chain(setback).chain([self.session.next_wake()]).min().unwrap_or(BootTime::NEVER)
    }

    /// Whether the host has stopped: nothing runs and no lease is held.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.stopping && self.session.is_over()
    }

    /// The host's name.
    #[must_use]
    pub fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// The host's session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The candidacies, by group.
    #[must_use]
    pub fn candidacies(&self) -> &BTreeMap<Group, GroupCandidacy> {
        &self.candidacies
    }

    /// What was observed of a store that is not the one that this host knew, as long as the host
    /// stands for nothing because of that.
    #[must_use]
    pub fn setback(&self) -> Option<&str> {
        self.setback.as_ref().map(StoreSetback::seen)
    }

    fn is_withdrawn(&self) -> bool {
        self.standing_down || self.setback.is_some()
    }

    /// The live session, if the host has joined the members with it.
    #[must_use]
    pub fn joined(&self) -> Option<LeaseId> {
        self.membership.lease.filter(|lease| self.live() == Some(*lease))
    }

    /// Why the host cannot join the members.
    #[must_use]
    pub fn obstacle(&self) -> Option<&str> {
        self.membership.obstacle.as_deref()
    }

    fn handle_event(&mut self, event: HeartEvent, now: BootTime, out: &mut Vec<HeartCommand>) {
        match event {
            HeartEvent::Tick => {}
            HeartEvent::Granted { lease, ttl, sent } => {
                self.session.granted(lease, ttl, sent);
                // A grant that took too long to arrive has expired before it begins.
                self.session.expire(now);
            }
            HeartEvent::GrantFailed => self.session.grant_failed(now),
            HeartEvent::Renewed { lease, ttl, sent } => {
                if let Some(deadline) = self.session.renewed(lease, ttl, sent) {
                    out.push(HeartCommand::Extend { lease, deadline });
                }
            }
            HeartEvent::RenewFailed { lease } => self.session.renew_failed(lease, now),
            HeartEvent::LeaseGone { lease } => {
                if self.session.lease_gone(lease) {
                    self.end_all(EndCause::LeaseGone, now, out);
                }
            }
            HeartEvent::Joined { lease } if self.live() == Some(lease) => {
                self.membership = Membership { lease: Some(lease), obstacle: None };
            }
            HeartEvent::NotJoined { lease, reason } if self.live() == Some(lease) => {
                self.membership = Membership { lease: None, obstacle: Some(reason) };
                self.candidacies.values_mut().for_each(|candidacy| candidacy.withdraw(out));
            }
            // These belong to a session that has already ended.
            HeartEvent::Joined { .. } | HeartEvent::NotJoined { .. } => {}
            HeartEvent::DeadlinePassed { lease } => {
                if self.session.end(lease) {
                    self.end_all(EndCause::DeadlinePassed, now, out);
                }
            }
            HeartEvent::StoreChanged { seen, above } => self.store_changed(seen, above, now, out),
            HeartEvent::TokensRaised { above } => {
                self.setback.take_if(|setback| setback.is_overcome_by(above));
            }
            HeartEvent::RaiseFailed => {
                if let Some(setback) = &mut self.setback {
                    setback.request_failed(&self.timings, now);
                }
            }
            HeartEvent::Released { lease } => self.session.released(lease),
            HeartEvent::Ready { group } => self.candidacy(group).ready(),
            // The first thing that is known of a group may be what keeps this host from leading it.
            HeartEvent::NotReady { group, reason } => self.candidacy(group).not_ready(reason, out),
            // A group may be barred before it has any actions.
            HeartEvent::Barred { group, reason } => self.candidacy(group).barred(reason, out),
            HeartEvent::StandDown => self.stand_down(now, out),
            HeartEvent::Shutdown => {
                self.stopping = true;
                self.stand_down(now, out);
            }
            event => self.handle_group_event(event, now, out),
        }
    }

    fn stand_down(&mut self, now: BootTime, out: &mut Vec<HeartCommand>) {
        self.standing_down = true;
        self.end_all(EndCause::Shutdown, now, out);
    }

    /// Everything that was granted or won belongs to another history of the store, which may give
    /// out the same fencing tokens again. What a leader writes under one of them could pass for an
    /// earlier leader's, so this host stands for nothing before they are raised.
    fn store_changed(
        &mut self,
        seen: String,
        above: FencingToken,
        now: BootTime,
        out: &mut Vec<HeartCommand>,
    ) {
        self.end_all(EndCause::StoreChanged { seen: seen.clone() }, now, out);
        if let Some(lease) = self.live() {
            self.session.end(lease);
        }
        self.setback = Some(StoreSetback::noticed(seen, above, self.setback.as_ref(), now));
    }

    fn handle_group_event(
        &mut self,
        event: HeartEvent,
        now: BootTime,
        out: &mut Vec<HeartCommand>,
    ) {
        let session = self.session.live();
        let (live, joins) = (self.live(), self.joined().is_some() && !self.is_withdrawn());
        let deadline_for =
            |key: &LeaderKey| session.filter(|(lease, _)| *lease == key.lease).map(|(_, d)| d);
        let Some(candidacy) = event.group().and_then(|g| self.candidacies.get_mut(g)) else {
            return;
        };
        match event {
            HeartEvent::Won { attempt, key } => candidacy.won(attempt, key, live, now, out),
            HeartEvent::CampaignFailed { attempt, .. } => candidacy.campaign_failed(attempt, now),
            HeartEvent::Verified { key, holds } => {
                candidacy.verified(&key, holds, deadline_for(&key), now, out);
            }
            HeartEvent::VerifyFailed { key } => candidacy.verify_failed(&key, now),
            HeartEvent::KeyQueued { key } => candidacy.key_queued(key, live, joins, out),
            HeartEvent::KeyGone { key } => candidacy.end(Some(&key), EndCause::KeyGone, now, out),
            HeartEvent::Drained { key } => candidacy.drained(&key, out),
            HeartEvent::Stopped { key } => candidacy.stopped(&key, live, now, out),
            HeartEvent::Resigned { key } => candidacy.resigned(&key),
            HeartEvent::ResignFailed { key } => candidacy.resign_failed(&key, now),
            HeartEvent::HandOver { key, cause } => candidacy.end(Some(&key), cause, now, out),
            HeartEvent::Unbarred { .. } => candidacy.unbarred(),
            HeartEvent::StepBack { .. } => candidacy.withdraw(out),
            _ => {}
        }
    }

    /// The candidacy in `group`; it is created if the group was unknown until now.
    fn candidacy(&mut self, group: Group) -> &mut GroupCandidacy {
        let timings = self.timings;
        let new = |group: &Group| GroupCandidacy::new(group.clone(), timings);
        self.candidacies.entry(group).or_insert_with_key(new)
    }

    fn advance(&mut self, now: BootTime, out: &mut Vec<HeartCommand>) {
        let request = self
            .setback
            .as_mut()
            .filter(|_| !self.standing_down)
            .and_then(|setback| setback.take_request(now));
        out.extend(request.map(|above| HeartCommand::RaiseTokens { above }));
        let (joined, aside) = (self.joined(), self.is_withdrawn());
        for candidacy in self.candidacies.values_mut() {
            candidacy.advance(joined, aside, now, out);
        }
        let idle = self.candidacies.values().all(GroupCandidacy::is_idle);
        if self.stopping && !self.candidacies.values().any(GroupCandidacy::has_term) {
            // A store may refuse forever to take a key back, but it cannot prevent a lease from
            // running out.
            self.session.stop_renewing();
        }
        self.session.advance(now, idle, self.stopping, out);
    }

    fn end_all(&mut self, cause: EndCause, now: BootTime, out: &mut Vec<HeartCommand>) {
        for candidacy in self.candidacies.values_mut() {
            candidacy.end(None, cause.clone(), now, out);
        }
    }

    fn live(&self) -> Option<LeaseId> {
        self.session.live().map(|(lease, _)| lease)
    }
}
