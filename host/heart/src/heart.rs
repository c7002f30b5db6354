//! The whole of a host's leadership: its session and its candidacies.

use std::{collections::BTreeMap, sync::Arc};

use super::{Candidacy, Cause, Command, Event, Group, LeaderKey, LeaseId, Session};
use crate::{clock::BootTime, timings::Timings};

/// Whether a host is among the members: who is not, stands for nothing.
#[derive(Clone, Debug, Default)]
struct Membership {
    /// By which session it is.
    lease: Option<LeaseId>,
    /// Why it cannot be.
    obstacle: Option<String>,
}

/// One host's session, and its candidacy in each group.
#[derive(Clone, Debug)]
pub struct Heart {
    host: Arc<str>,
    timings: Timings,
    session: Session,
    candidacies: BTreeMap<Group, Candidacy>,
    membership: Membership,
    /// Whether it stands for nothing any more.
    standing_down: bool,
    /// Whether its session is to end as well.
    stopping: bool,
    /// Why it stands for nothing until it is restarted.
    held: Option<String>,
}

impl Heart {
    /// A host that leads nothing and knows nothing yet.
    pub fn new(host: Arc<str>, timings: Timings, groups: impl IntoIterator<Item = Group>) -> Self {
        let candidacy = |group: Group| (group.clone(), Candidacy::new(group, timings));
        Self {
            host,
            timings,
            session: Session::new(timings),
            candidacies: groups.into_iter().map(candidacy).collect(),
            membership: Membership::default(),
            standing_down: false,
            stopping: false,
            held: None,
        }
    }

    /// Takes one event in at `now` and says what is to be done, in order.
    #[must_use]
    pub fn step(&mut self, event: Event, now: BootTime) -> Vec<Command> {
        let mut out = Vec::new();
        // Whatever happened, time passed first: a host that was frozen must not
        // act on an answer that lay waiting before it sees that it is too late.
        if self.session.expire(now) {
            self.end_all(Cause::DeadlinePassed, now, &mut out);
        }
        self.take_in(event, now, &mut out);
        self.settle(now, &mut out);
        out
    }

    /// When to come back with a tick at the latest.
    #[must_use]
    pub fn next_wake(&self) -> BootTime {
        // Without a session an idle candidacy has nothing to wake up for.
        let stands =
            |c: &&Candidacy| !c.is_idle() || (self.joined().is_some() && !self.stands_aside());
        let groups = self.candidacies.values().filter(stands).map(Candidacy::next_wake);
        groups.chain([self.session.next_wake()]).min().unwrap_or(BootTime::NEVER)
    }

    /// Whether the host has stopped: nothing runs, nothing is held.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.stopping && self.session.is_over()
    }

    /// The host's name.
    #[must_use]
    pub fn host(&self) -> &Arc<str> {
        &self.host
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The candidacies, by group.
    #[must_use]
    pub fn candidacies(&self) -> &BTreeMap<Group, Candidacy> {
        &self.candidacies
    }

    /// Why it stands for nothing until it is restarted, if so.
    #[must_use]
    pub fn held(&self) -> Option<&str> {
        self.held.as_deref()
    }

    fn stands_aside(&self) -> bool {
        self.standing_down || self.held.is_some()
    }

    /// The live session, if the host is among the members by it.
    #[must_use]
    pub fn joined(&self) -> Option<LeaseId> {
        self.membership.lease.filter(|lease| self.live() == Some(*lease))
    }

    /// Why the host cannot be among the members.
    #[must_use]
    pub fn obstacle(&self) -> Option<&str> {
        self.membership.obstacle.as_deref()
    }

    fn take_in(&mut self, event: Event, now: BootTime, out: &mut Vec<Command>) {
        match event {
            Event::Tick => {}
            Event::Granted { lease, ttl, sent } => {
                self.session.granted(lease, ttl, sent);
                // A grant that took too long to arrive is over before it begins.
                self.session.expire(now);
            }
            Event::GrantFailed => self.session.grant_failed(now),
            Event::Renewed { lease, ttl, sent } => {
                if let Some(deadline) = self.session.renewed(lease, ttl, sent) {
                    out.push(Command::Extend { lease, deadline });
                }
            }
            Event::RenewFailed { lease } => self.session.renew_failed(lease, now),
            Event::LeaseGone { lease } => {
                if self.session.lease_gone(lease) {
                    self.end_all(Cause::LeaseGone, now, out);
                }
            }
            Event::Joined { lease } if self.live() == Some(lease) => {
                self.membership = Membership { lease: Some(lease), obstacle: None };
            }
            Event::NotJoined { lease, reason } if self.live() == Some(lease) => {
                self.membership = Membership { lease: None, obstacle: Some(reason) };
                self.candidacies.values_mut().for_each(|candidacy| candidacy.withdraw(out));
            }
            // Of a session that is over.
            Event::Joined { .. } | Event::NotJoined { .. } => {}
            Event::DeadlinePassed { lease } => {
                if self.session.lapse(lease) {
                    self.end_all(Cause::DeadlinePassed, now, out);
                }
            }
            Event::StoreChanged { seen, behind } => self.store_changed(seen, behind, now, out),
            Event::Released { lease } => self.session.released(lease),
            Event::Ready { group } => self.candidacy(group).ready(),
            // A group may be barred before there is any action of it.
            Event::Barred { group, reason } => self.candidacy(group).barred(reason, out),
            Event::StandDown => self.stand_down(now, out),
            Event::Shutdown => {
                self.stopping = true;
                self.stand_down(now, out);
            }
            event => self.take_in_group(event, now, out),
        }
    }

    fn stand_down(&mut self, now: BootTime, out: &mut Vec<Command>) {
        self.standing_down = true;
        self.end_all(Cause::Shutdown, now, out);
    }

    /// Whatever was granted or won is of another history. Where tokens come again, a host
    /// that has seen the later ones cannot lead: what it would write under may pass for an
    /// earlier leader's. Only people can say that this was meant.
    fn store_changed(&mut self, seen: String, behind: bool, now: BootTime, out: &mut Vec<Command>) {
        self.end_all(Cause::StoreChanged { seen: seen.clone() }, now, out);
        if let Some(lease) = self.live() {
            self.session.lapse(lease);
        }
        if behind {
            self.held = Some(seen);
        }
    }

    fn take_in_group(&mut self, event: Event, now: BootTime, out: &mut Vec<Command>) {
        let session = self.session.live();
        let (live, joins) = (self.live(), self.joined().is_some() && !self.stands_aside());
        let deadline_for =
            |key: &LeaderKey| session.filter(|(lease, _)| *lease == key.lease).map(|(_, d)| d);
        let Some(candidacy) = event.group().and_then(|g| self.candidacies.get_mut(g)) else {
            return;
        };
        match event {
            Event::Won { attempt, key } => candidacy.won(attempt, key, live, now, out),
            Event::CampaignFailed { attempt, .. } => candidacy.campaign_failed(attempt, now),
            Event::Verified { key, holds } => {
                candidacy.verified(&key, holds, deadline_for(&key), now, out);
            }
            Event::VerifyFailed { key } => candidacy.verify_failed(&key, now),
            Event::Standing { key } => candidacy.standing(key, live, joins, out),
            Event::KeyGone { key } => candidacy.end(Some(&key), Cause::KeyGone, now, out),
            Event::Drained { key } => candidacy.drained(&key, out),
            Event::Stopped { key } => candidacy.stopped(&key, live, now, out),
            Event::Resigned { key } => candidacy.resigned(&key),
            Event::ResignFailed { key } => candidacy.resign_failed(&key, now),
            Event::HandOver { key, cause } => candidacy.end(Some(&key), cause, now, out),
            Event::NotReady { reason, .. } => candidacy.not_ready(reason, out),
            Event::Unbarred { .. } => candidacy.unbarred(),
            Event::StepBack { .. } => candidacy.withdraw(out),
            _ => {}
        }
    }

    /// The candidacy in `group`, which may be one that actions came to just now.
    fn candidacy(&mut self, group: Group) -> &mut Candidacy {
        let timings = self.timings;
        let new = |group: &Group| Candidacy::new(group.clone(), timings);
        self.candidacies.entry(group).or_insert_with_key(new)
    }

    fn settle(&mut self, now: BootTime, out: &mut Vec<Command>) {
        let (joined, aside) = (self.joined(), self.stands_aside());
        for candidacy in self.candidacies.values_mut() {
            candidacy.settle(joined, aside, now, out);
        }
        let idle = self.candidacies.values().all(Candidacy::is_idle);
        if self.stopping && !self.candidacies.values().any(Candidacy::performs) {
            // A store may refuse for ever to take a key back, but not to let a lease run out.
            self.session.run_out();
        }
        self.session.settle(now, idle, self.stopping, out);
    }

    fn end_all(&mut self, cause: Cause, now: BootTime, out: &mut Vec<Command>) {
        for candidacy in self.candidacies.values_mut() {
            candidacy.end(None, cause.clone(), now, out);
        }
    }

    fn live(&self) -> Option<LeaseId> {
        self.session.live().map(|(lease, _)| lease)
    }
}
