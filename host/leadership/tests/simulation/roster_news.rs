//! What hosts see of the store and how they react: the driver's comparison, and the strategist's
//! advice.

use std::{collections::BTreeMap, sync::Arc};

use soloist_heart::{HeartEvent, LeaderKey, LeaseId};
use soloist_leadership::{GroupRanks, HostView};
use soloist_stores::{Candidate, ForeignCandidate, Member, QueuedCandidate, Roster};

use crate::{
    simulated_store::HostLife,
    simulation::{MS, SECOND, Simulation},
    simulation_event::SimulationEvent,
    store_request::StoreRequest,
};

/// How long changes are collected before the strategist looks.
const GATHER: u64 = 20 * MS;
/// How long the strategist waits at most.
const NAP: u64 = SECOND;

/// A roster that the store publishes to a host.
#[derive(Clone, Debug)]
pub(crate) struct RosterNews {
    number: u64,
    /// The number of the first publication with the same content.
    changed: u64,
    taken_at: u64,
    roster: Arc<Roster>,
}

impl Simulation {
    /// The store publishes its roster to each host.
    pub(crate) fn publish_roster(&mut self) {
        let roster = Arc::new(self.roster());
        self.shown += 1;
        self.record_shown_leaders();
        if self.last_shown.as_ref().is_none_or(|last| !same_content(last, &roster)) {
            self.changed = self.shown;
        }
        self.last_shown = Some(Arc::clone(&roster));
        for host in 0..self.hosts.len() {
            let caller = self.caller(host);
            if self.is_behind(caller) {
                self.notice_older_store(caller);
                continue;
            }
            let heart = self.hosts[host].heart.as_ref();
            if heart.is_none_or(|heart| heart.session().live().is_none()) {
                continue;
            }
            match self.delay_back(host) {
                Some(delay) => {
                    self.observe_revision(caller);
                    let roster = Arc::clone(&roster);
                    let (number, changed, taken_at) = (self.shown, self.changed, self.now);
                    let news = RosterNews { number, changed, taken_at, roster };
                    self.after(delay, SimulationEvent::RosterSeen(caller, news));
                }
                None => self.publication_lost(host),
            }
        }
        let pause = self.rng.u64(10 * MS..self.shows_within);
        self.after(pause, SimulationEvent::ShowRoster);
    }

    fn roster(&self) -> Roster {
        let member =
            |(host, lease): (usize, LeaseId)| (lease, Arc::clone(&self.hosts[host].member));
        let standing = |key: &LeaderKey| {
            let host = self.hosts[self.store.owner(key.lease)?].name.to_owned();
            let since = self.store.is_proclaimed(key).then_some(0);
            let candidate = Candidate { since, ..Candidate::of(&Member::named(host)) };
            Some(Arc::new(QueuedCandidate { candidate, key: key.clone() }))
        };
        let stranger = |key: &LeaderKey| {
            let (key, fencing_token, remove) =
                (Arc::clone(&key.key), key.fencing_token, Arc::from("rm"));
            Arc::new(ForeignCandidate { key, fencing_token, lease: None, remove })
        };
        let (mut groups, mut strangers) = (BTreeMap::new(), BTreeMap::new());
        for group in &self.groups {
            let others = self.store.queue(group).iter().filter(|key| key.lease == LeaseId::NONE);
            let others: Vec<_> = others.map(stranger).collect();
            if !others.is_empty() {
                strangers.insert(group.clone(), others);
            }
            let queue: Vec<_> = self.store.queue(group).iter().filter_map(standing).collect();
            if !queue.is_empty() {
                groups.insert(group.clone(), queue);
            }
        }
        let members = self.store.sessions().into_iter().map(member).collect();
        Roster {
            revision: self.store.data.revision,
            floor: self.store.data.floor,
            grace: self.store.is_in_grace(),
            groups,
            foreign_candidates: strangers,
            members,
            ..Roster::default()
        }
    }

    /// A host receives a roster, unless it has already received a later one.
    pub(crate) fn seen(&mut self, caller: HostLife, news: RosterNews) {
        let host = &mut self.hosts[caller.host];
        let RosterNews { number, changed, taken_at, roster } = news;
        if number < host.sight.number || host.sight.is_deaf(self.now) {
            return;
        }
        // If nothing has changed, the strategist only looks once in a while.
        let pause = if changed > host.sight.number { GATHER } else { NAP };
        (host.sight.number, host.sight.taken_at) = (number, taken_at);
        host.sight.roster = Some(Arc::clone(&roster));
        self.news_arrived(caller);
        if self.job.is_some() {
            self.compare_if_changed(caller);
        }
        for event in self.compare(caller, &roster) {
            self.feed(caller, event);
        }
        self.proclaim_again(caller, &roster);
        self.schedule_advice(caller, pause);
    }

    /// Compares what a host sees with what its heart believes, as the driver does.
    fn compare(&self, caller: HostLife, roster: &Roster) -> Vec<HeartEvent> {
        let Some(heart) = self.hosts[caller.host].heart.as_ref() else { return Vec::new() };
        let Some((lease, _)) = heart.session().live() else { return Vec::new() };
        let standing = roster.groups.values().flatten().filter(|s| s.key.lease == lease);
        let standing = standing.map(|s| HeartEvent::KeyQueued { key: s.key.clone() });
        let keys = heart.candidacies().values().filter_map(|it| it.stage().key());
        // A roster that is older than a key cannot show that the key is gone.
        let gone = keys.filter(|key| roster.is_after(key.fencing_token) && !roster.has(key));
        standing.chain(gone.map(|key| HeartEvent::KeyGone { key: key.clone() })).collect()
    }

    /// Announces running terms again if the store does not show them.
    fn proclaim_again(&mut self, caller: HostLife, roster: &Roster) {
        let silent = roster.groups.values().flatten().filter(|s| s.candidate.since.is_none());
        let own = |s: &&Arc<QueuedCandidate>| self.hosts[caller.host].term(&s.key).is_some();
        let keys: Vec<_> = silent.filter(own).map(|standing| standing.key.clone()).collect();
        for key in keys {
            self.ask(caller, StoreRequest::Proclaim(key));
        }
    }

    /// Schedules a host's strategist, after `pause` at the latest.
    fn schedule_advice(&mut self, caller: HostLife, pause: u64) {
        let at = self.now + pause;
        let host = &mut self.hosts[caller.host];
        if host.sight.looks_at.is_none_or(|due| at < due) {
            host.sight.looks_at = Some(at);
            self.at(at, SimulationEvent::Advise(caller, at));
        }
    }

    /// A host's strategist looks, and sends the resulting events to its heart.
    pub(crate) fn advise(&mut self, caller: HostLife, set: u64) {
        let now = self.now;
        let host = &mut self.hosts[caller.host];
        if host.sight.looks_at.take_if(|at| *at == set).is_none() {
            return;
        }
        let clock = host.clock(now);
        let (Some(roster), Some(heart)) = (host.sight.roster.clone(), host.heart.as_ref()) else {
            return;
        };
        let view = HostView::of(heart, None);
        let Some(adviser) = host.adviser.as_mut() else { return };
        let advised = adviser.advise(&roster, &view, &GroupRanks::new(), clock);
        self.checker.figures.disagreements += advised.disagreements.len() as u64;
        for event in advised.events {
            self.checker.figures.advised += 1;
            self.feed(caller, event);
        }
        if let Some(pause) = advised.look_again {
            let pause = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
            self.schedule_advice(caller, pause.clamp(GATHER, NAP));
        }
    }
}

/// Whether two rosters are equal, except possibly for their revisions.
fn same_content(one: &Roster, other: &Roster) -> bool {
    (one.floor, one.grace) == (other.floor, other.grace)
        && one.groups == other.groups
        && one.foreign_candidates == other.foreign_candidates
        && one.members == other.members
}
