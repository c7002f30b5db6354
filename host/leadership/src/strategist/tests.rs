//! Hosts that spread groups among them. Each host sees the cluster with a delay of its own, and its
//! actions take some time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use proptest::prelude::*;

use super::{Adviser, GroupRanks};
use crate::host_view::{CandidacyRole, GroupView, HostView};
use soloist_config::GroupConfig;
use soloist_heart::{Group, HeartEvent, LeaderKey, LeaseId, clock::BootTime};
use soloist_stores::{Candidate, Member, QueuedCandidate, Roster};

/// The minimum time between two looks of a host.
const GATHER: Duration = Duration::from_millis(20);
const STEP: Duration = Duration::from_millis(10);

struct SimulatedHost {
    lease: LeaseId,
    adviser: Adviser,
    member: Arc<Member>,
    /// The delay with which it sees the cluster.
    lag: Duration,
    /// The index of the roster that it saw last.
    seen: usize,
    looks_at: BootTime,
    hands_over: BTreeSet<Group>,
}

/// An action that takes effect some time after it was started.
enum PendingChange {
    Stand(Group),
    Resigned(Group),
}

struct SimulatedCluster {
    random: fastrand::Rng,
    settle: Duration,
    lag: Duration,
    now: BootTime,
    revision: i64,
    groups: BTreeMap<Group, Vec<Arc<QueuedCandidate>>>,
    hosts: Vec<SimulatedHost>,
    due: Vec<(BootTime, LeaseId, PendingChange)>,
    /// All rosters so far, each with the moment from which it was visible.
    rosters: Vec<(BootTime, Roster)>,
    moved: usize,
    disagreements: Vec<Group>,
}

impl SimulatedCluster {
    fn new(groups: usize, settle: Duration, lag: Duration, seed: u64) -> Self {
        let group = |number| (Group::from(&*format!("g{number}")), Vec::new());
        let groups = (0..groups).map(group).collect();
        let (random, now) = (fastrand::Rng::with_seed(seed), BootTime::ZERO);
        let rosters = vec![(now, Roster::default())];
        let (hosts, due, disagreements) = Default::default();
        let (revision, moved) = (0, 0);
        Self {
            random,
            settle,
            lag,
            now,
            revision,
            groups,
            hosts,
            due,
            rosters,
            moved,
            disagreements,
        }
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.random.f64())
    }

    /// A host joins, and enters the queue of one group after the other.
    fn comes(&mut self) {
        self.revision += 1;
        let lease = LeaseId(self.random.i64(1..i64::MAX));
        let name = format!("h{}", self.revision);
        let config =
            GroupConfig { spread: true, preempt_delay: self.settle, ..GroupConfig::DEFAULT };
        let groups = self.groups.keys().map(|group| (group.clone(), config.clone())).collect();
        let lag = self.up_to(self.lag);
        self.hosts.push(SimulatedHost {
            lease,
            adviser: Adviser::new(name.as_str().into(), groups),
            member: Member::named(name).into(),
            lag,
            seen: 0,
            looks_at: self.now,
            hands_over: BTreeSet::new(),
        });
        for group in self.groups.keys().cloned().collect::<Vec<_>>() {
            let at = self.now + self.up_to(Duration::from_millis(500));
            self.due.push((at, lease, PendingChange::Stand(group)));
        }
    }

    /// A host is lost, and with it everything attached to its session.
    fn goes(&mut self, host: usize) {
        let lease = self.hosts.remove(host).lease;
        self.groups.values_mut().for_each(|queue| queue.retain(|s| s.key.lease != lease));
        self.revision += 1;
    }

    /// Lets time pass.
    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + STEP;
            self.happen();
            self.show();
            for host in 0..self.hosts.len() {
                self.look(host);
            }
        }
    }

    fn happen(&mut self) {
        let now = self.now;
        let due: Vec<_> = self.due.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, lease, due) in due {
            let Some(host) = self.hosts.iter_mut().find(|host| host.lease == lease) else {
                continue;
            };
            self.revision += 1;
            match due {
                PendingChange::Stand(group) => {
                    let candidate = Candidate::of(&host.member);
                    let key = format!("{group}/{lease}");
                    let key = LeaderKey::new(group.clone(), key, lease, self.revision);
                    let queue = self.groups.entry(group).or_default();
                    queue.push(QueuedCandidate { candidate, key }.into());
                }
                PendingChange::Resigned(group) => {
                    host.hands_over.remove(&group);
                    self.leave(lease, group);
                }
            }
        }
    }

    /// A candidate leaves, and stands again soon.
    fn leave(&mut self, lease: LeaseId, group: Group) {
        self.revision += 1;
        if let Some(queue) = self.groups.get_mut(&group) {
            queue.retain(|standing| standing.key.lease != lease);
        }
        let at = self.now + self.up_to(Duration::from_millis(50));
        self.due.push((at, lease, PendingChange::Stand(group)));
    }

    fn show(&mut self) {
        if self.rosters.last().is_some_and(|(_, roster)| roster.revision == self.revision) {
            return;
        }
        let mut members: Vec<_> =
            self.hosts.iter().map(|host| (host.lease, Arc::clone(&host.member))).collect();
        members.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        let groups = self.groups.clone();
        let roster = Roster { revision: self.revision, groups, members, ..Roster::default() };
        self.rosters.push((self.now, roster));
    }

    /// A host looks at what it can see by now, and acts on it.
    fn look(&mut self, host: usize) {
        let host = &mut self.hosts[host];
        let visible = |(at, _): &(BootTime, Roster)| *at + host.lag <= self.now;
        let newest = self.rosters.iter().rposition(visible).unwrap_or_default();
        if self.now < host.looks_at && (newest == host.seen || self.rosters.is_empty()) {
            return;
        }
        host.seen = newest;
        let view = view(host, &self.groups);
        let roster = &self.rosters[newest].1;
        let advised = host.adviser.advise(roster, &view, &GroupRanks::new(), self.now);
        let nap = advised.look_again.unwrap_or(Duration::from_secs(1));
        host.looks_at = self.now + nap.clamp(GATHER, Duration::from_secs(1));
        self.disagreements.extend(advised.disagreements);
        let lease = host.lease;
        for event in advised.events {
            match event {
                HeartEvent::StepBack { group } => self.leave(lease, group),
                HeartEvent::HandOver { key, .. } => {
                    self.moved += 1;
                    let host = self.hosts.iter_mut().find(|host| host.lease == lease);
                    host.unwrap().hands_over.insert(key.group.clone());
                    let at = self.now + self.up_to(Duration::from_millis(100));
                    self.due.push((at, lease, PendingChange::Resigned(key.group)));
                }
                _ => {}
            }
        }
    }

    /// How many groups each host leads.
    fn loads(&self) -> Vec<usize> {
        let leads = |queue: &&Vec<Arc<QueuedCandidate>>, lease| {
            queue.first().is_some_and(|first| first.key.lease == lease)
        };
        let led =
            |host: &SimulatedHost| self.groups.values().filter(|q| leads(q, host.lease)).count();
        self.hosts.iter().map(led).collect()
    }

    /// The smallest number of leaderships that have to be handed over.
    fn needed(&self) -> usize {
        let low = self.groups.len() / self.hosts.len();
        let above = self.loads().into_iter().map(|load| load.saturating_sub(low + 1)).sum();
        let below: usize = self.loads().into_iter().map(|load| low.saturating_sub(load)).sum();
        below.max(above)
    }

    #[track_caller]
    fn is_even(&self) {
        let loads = self.loads();
        assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1, "{loads:?}");
        assert!(self.disagreements.is_empty(), "{:?}", self.disagreements);
    }
}

/// What a host knows about itself without delay.
fn view(host: &SimulatedHost, groups: &BTreeMap<Group, Vec<Arc<QueuedCandidate>>>) -> HostView {
    let role = |group: &Group, queue: &[Arc<QueuedCandidate>]| match queue
        .iter()
        .position(|standing| standing.key.lease == host.lease)
    {
        Some(0) if host.hands_over.contains(group) => CandidacyRole::Draining,
        Some(0) => CandidacyRole::Leader,
        Some(_) => CandidacyRole::Standby,
        None => CandidacyRole::Out,
    };
    let part = |(group, queue): (&Group, &Vec<Arc<QueuedCandidate>>)| {
        let view = GroupView { role: role(group, queue), obstacle: None, bar: None };
        (group.clone(), view)
    };
    let groups = groups.iter().map(part).collect();
    let session = Some((host.lease, BootTime::NEVER));
    HostView { session, groups, joined: true, ..HostView::default() }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn hosts_that_start_together_share_many_groups() {
    for (groups, hosts) in [(10, 3), (30, 5), (100, 5), (300, 5), (1000, 7)] {
        let settle = 10 * SECOND;
        let mut cluster = SimulatedCluster::new(groups, settle, SECOND / 10, groups as u64);
        (0..hosts).for_each(|_| cluster.comes());
        cluster.run(3 * settle);
        cluster.is_even();
    }
}

#[test]
fn hosts_that_come_one_by_one_share_many_groups_by_as_few_moves_as_can_be() {
    for groups in [10, 100, 300] {
        let mut cluster = SimulatedCluster::new(groups, 2 * SECOND, SECOND / 10, 1);
        for _ in 0..5 {
            cluster.comes();
            cluster.run(SECOND);
            let (before, needed) = (cluster.moved, cluster.needed());
            cluster.run(5 * SECOND);
            cluster.is_even();
            assert_eq!(cluster.moved - before, needed, "{groups}");
        }
        // Once the groups are evenly spread, nothing is moved.
        let moved = cluster.moved;
        cluster.run(10 * SECOND);
        assert_eq!(cluster.moved, moved);
    }
}

#[test]
fn whoever_is_lost_leaves_the_others_even_at_once() {
    let mut cluster = SimulatedCluster::new(100, 2 * SECOND, SECOND / 10, 2);
    (0..6).for_each(|_| cluster.comes());
    cluster.run(8 * SECOND);
    while cluster.hosts.len() > 2 {
        let moved = cluster.moved;
        cluster.goes(1);
        cluster.is_even();
        cluster.run(2 * SECOND);
        assert_eq!(cluster.moved, moved, "nothing had to be moved");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Hosts come and go in any order. Three settle times after the last change the groups are
    /// evenly spread, and no disagreement was detected.
    #[test]
    fn it_is_even_soon_after_the_last_change(
        groups in 1_usize..120,
        settle in prop::sample::select(vec![SECOND, 3 * SECOND, 10 * SECOND]),
        changes in prop::collection::vec((any::<bool>(), 0_usize..7, 0_u64..15_000), 1..10),
        seed in any::<u64>(),
    ) {
        let mut cluster = SimulatedCluster::new(groups, settle, SECOND / 5, seed);
        (0..2).for_each(|_| cluster.comes());
        for (comes, which, pause) in changes {
            match cluster.hosts.len() {
                there @ 2..7 if !comes => cluster.goes(which % there),
                7 => cluster.goes(which),
                _ => cluster.comes(),
            }
            cluster.run(Duration::from_millis(pause));
        }
        cluster.run(3 * settle);
        cluster.is_even();
    }
}
