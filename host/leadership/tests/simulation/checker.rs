//! The checker: it knows the true time and the state of every host, and detects when a promise is
//! broken.

use std::collections::BTreeMap;

use soloist_config::GroupConfig;
use soloist_heart::{FencingToken, Group, HeartCommand, LeaderKey, Strategy, clock::BootTime};

use crate::{
    checked_runs::CheckedRuns,
    figures::Figures,
    promise::{BrokenPromise, Promise},
    register::RegisterWrite,
    simulated_host::{GatePhase, SimulatedHost, SimulatedTerm},
    simulated_store::SimulatedStore,
};

/// Why a key is no longer in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyEnd {
    /// It was given up by its host or the host's supervisor.
    GivenBack,
    /// Its lease ran out.
    RanOut,
}

/// What the checker knows of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteKnowledge {
    Asked,
    Applied,
    /// The store went back to a state before the write.
    Undone,
}

/// All hosts, the store, and the true time.
#[derive(Clone, Copy)]
pub(crate) struct CheckContext<'a> {
    pub(crate) hosts: &'a [SimulatedHost],
    pub(crate) store: &'a SimulatedStore,
    pub(crate) now: u64,
}

#[derive(Default)]
pub(crate) struct Checker {
    /// The latest term that started, by group.
    newest: BTreeMap<Group, FencingToken>,
    writes: Vec<WriteKnowledge>,
    /// The first write that had not been requested when the store last went back.
    surely_once: usize,
    acknowledged: Vec<usize>,
    pub(crate) figures: Figures,
    pub(crate) runs: CheckedRuns,
    /// The first promise that was broken.
    pub(crate) broken: Option<BrokenPromise>,
}

impl Checker {
    /// Checks a command of host `who` before it is carried out.
    pub(crate) fn command(
        &mut self,
        command: &HeartCommand,
        who: usize,
        context: CheckContext<'_>,
    ) {
        let host = &context.hosts[who];
        let runs = |key: &LeaderKey| host.term(key).is_some();
        match command {
            HeartCommand::Start { key, deadline } => self.start(key, *deadline, who, context),
            HeartCommand::Extend { deadline, .. } => self.extend(*deadline, who, context),
            HeartCommand::Stop { key, .. } | HeartCommand::Drain { key, .. } => {
                self.holds(runs(key), Promise::Order, context.now, || {
                    format!("{} ends a term that does not run", host.name)
                });
            }
            HeartCommand::Resign { key } => {
                self.holds(!runs(key), Promise::ResignIsLast, context.now, || {
                    format!("{} resigns before its term has ended", host.name)
                });
            }
            HeartCommand::Revoke { lease } => {
                let runs = host.terms.values().any(|term| term.key.lease == *lease);
                self.holds(!runs, Promise::ResignIsLast, context.now, || {
                    format!("{} revokes its lease under a running term", host.name)
                });
            }
            HeartCommand::Grant { .. }
            | HeartCommand::Renew { .. }
            | HeartCommand::RaiseTokens { .. }
            | HeartCommand::Campaign { .. }
            | HeartCommand::Withdraw { .. }
            | HeartCommand::Verify { .. } => {}
        }
    }

    fn start(
        &mut self,
        key: &LeaderKey,
        deadline: BootTime,
        who: usize,
        context: CheckContext<'_>,
    ) {
        let CheckContext { hosts, store, now } = context;
        let (host, group) = (&hosts[who], &key.group);
        self.figures.terms += 1;
        self.holds(!host.terms.contains_key(group), Promise::Order, now, || {
            format!("{} starts a term within a term", host.name)
        });
        self.holds(host.seen.get(group) == Some(key), Promise::WinIsVerified, now, || {
            format!("{} starts {group}/{}, gone before it looked", host.name, key.fencing_token)
        });
        self.holds(host.clock(now) < deadline, Promise::EndsBeforeLease, now, || {
            format!("{} starts past its deadline", host.name)
        });
        let own = host.highest.get(group).is_none_or(|highest| key.fencing_token > *highest);
        self.holds(own, Promise::TokensRise, now, || {
            format!(
                "{} starts {group}/{} after a later term of its own",
                host.name, key.fencing_token
            )
        });
        if store.was_removed(key) {
            return; // Somebody else may lead already; only fencing helps here.
        }
        self.holds(store.exists(key), Promise::EndsBeforeLease, now, || {
            format!("{} starts {group}/{} without a lease", host.name, key.fencing_token)
        });
        self.holds(
            host.must_exceed.is_none_or(|must_exceed| key.fencing_token.0 > must_exceed)
                || host.under_way.get(group) == Some(key),
            Promise::TokensRise,
            now,
            || {
                format!(
                    "{} starts {group}/{}, and had seen {:?}",
                    host.name, key.fencing_token, host.must_exceed
                )
            },
        );
        let before = self.newest.insert(group.clone(), key.fencing_token);
        self.holds(
            before.is_none_or(|before| key.fencing_token > before),
            Promise::TokensRise,
            now,
            || format!("fencing token {} after {before:?} in {group}", key.fencing_token),
        );
        let outdated = hosts.iter().find(|host| host.acts_outdated(group, now));
        self.holds(outdated.is_none(), Promise::NoOverlap, now, || {
            format!(
                "{} starts {group} after a grace period that {:?} outlives",
                host.name,
                outdated.map(|host| host.name)
            )
        });
        self.alone(group, who, context);
    }

    fn extend(&mut self, deadline: BootTime, who: usize, context: CheckContext<'_>) {
        let CheckContext { hosts, store, now } = context;
        let host = &hosts[who];
        for (group, term) in &host.terms {
            self.holds(host.clock(now) < term.deadline, Promise::EndsBeforeLease, now, || {
                format!("{} revives a term of {group}", host.name)
            });
            self.holds(deadline > term.deadline, Promise::Order, now, || {
                format!("{} moves a deadline back", host.name)
            });
            if term.phase < GatePhase::Closed && !term.robbed {
                self.holds(store.exists(&term.key), Promise::EndsBeforeLease, now, || {
                    format!("{} goes on in {group} without a lease", host.name)
                });
                self.alone(group, who, context);
            }
        }
    }

    /// Checks that no other host can act in `group`, or has anything alive that it had time to end.
    fn alone(
        &mut self,
        group: &Group,
        who: usize,
        CheckContext { hosts, now, .. }: CheckContext<'_>,
    ) {
        for (_, host) in hosts.iter().enumerate().filter(|(other, _)| *other != who) {
            let alone = !host.can_act(group, now) && !host.is_overdue(group, now);
            self.holds(alone, Promise::NoOverlap, now, || {
                format!("{} performs in {group}, and so does {}", hosts[who].name, host.name)
            });
        }
    }

    /// The store has removed `key`: nobody may act under it any more.
    pub(crate) fn ended(
        &mut self,
        key: &LeaderKey,
        end: KeyEnd,
        CheckContext { hosts, now, .. }: CheckContext<'_>,
    ) {
        let group = &key.group;
        for host in hosts.iter().filter(|host| host.term(key).is_some_and(|term| !term.robbed)) {
            let (promise, holds) = match end {
                KeyEnd::GivenBack => (Promise::ResignIsLast, false),
                KeyEnd::RanOut => {
                    let over = !host.can_act(group, now) && !host.is_overdue(group, now);
                    (Promise::EndsBeforeLease, over)
                }
            };
            self.holds(holds, promise, now, || {
                format!(
                    "{group}/{} lives on {} when its key has gone",
                    key.fencing_token, host.name
                )
            });
        }
    }

    /// An answer is sent under `key`.
    pub(crate) fn answer(&mut self, key: &LeaderKey, host: &SimulatedHost, now: u64) {
        self.figures.answers += 1;
        let robbed = host.term(key).is_some_and(|term| term.robbed);
        let newest = self.newest.get(&key.group).copied();
        let fresh = robbed || newest.is_none_or(|newest| key.fencing_token >= newest);
        self.holds(fresh, Promise::FreshAnswers, now, || {
            format!(
                "{} answers under {}/{} after {newest:?}",
                host.name, key.group, key.fencing_token
            )
        });
    }

    /// A new write, with a unique number.
    pub(crate) fn new_write(&mut self) -> usize {
        self.writes.push(WriteKnowledge::Asked);
        self.writes.len() - 1
    }

    /// The register has applied a write.
    pub(crate) fn applied(&mut self, write: &RegisterWrite, now: u64) {
        let RegisterWrite { key, id, .. } = write;
        self.figures.writes += 1;
        let newest = self.newest.get(&key.group).copied();
        self.holds(
            newest.is_none_or(|n| key.fencing_token >= n),
            Promise::FencedWrites,
            now,
            || {
                format!(
                    "write {id} is applied under {}/{} after {newest:?}",
                    key.group, key.fencing_token
                )
            },
        );
        let known = std::mem::replace(&mut self.writes[*id], WriteKnowledge::Applied);
        let once = known != WriteKnowledge::Applied || *id < self.surely_once;
        self.holds(once, Promise::NothingDoubled, now, || {
            format!("write {id} of {}/{} is applied again", key.group, key.fencing_token)
        });
    }

    /// A writer was told that its write was applied.
    pub(crate) fn acknowledged(&mut self, key: &LeaderKey, id: usize, now: u64) {
        self.figures.acknowledged += 1;
        self.acknowledged.push(id);
        self.holds(self.writes[id] != WriteKnowledge::Asked, Promise::NothingLost, now, || {
            format!("write {id} of {}/{} is acknowledged but nowhere", key.group, key.fencing_token)
        });
    }

    /// The store went back to an older state. What is lost by that is not promised: fencing tokens
    /// and versions grow again from there, so a write under way may meet the version that it
    /// expects a second time; and later writes are gone.
    pub(crate) fn restored(&mut self, CheckContext { hosts, store, .. }: CheckContext<'_>) {
        self.newest.clear();
        for SimulatedTerm { key, .. } in hosts.iter().flat_map(|host| host.terms.values()) {
            if store.leader(&key.group) == Some(key) {
                self.newest.insert(key.group.clone(), key.fencing_token);
            }
        }
        self.surely_once = self.writes.len();
        let applied = self.writes.iter_mut().filter(|known| **known == WriteKnowledge::Applied);
        applied.for_each(|known| *known = WriteKnowledge::Undone);
        for id in store.data.registers.values().flat_map(|register| &register.log) {
            self.writes[*id] = WriteKnowledge::Applied;
        }
    }

    /// The fencing tokens were raised: no term begins under a lower one any more, on any host.
    pub(crate) fn raised(&mut self, groups: &[Group], above: FencingToken) {
        for group in groups {
            let newest = self.newest.entry(group.clone()).or_insert(above);
            *newest = above.max(*newest);
        }
    }

    /// A host that was told to stop is still running, although it had enough time to stop.
    pub(crate) fn has_not_stopped(&mut self, host: &SimulatedHost, now: u64) {
        self.holds(false, Promise::StopsInTime, now, || {
            format!("{} was told to stop long ago and goes on", host.name)
        });
    }

    /// The faults ended long ago: exactly one host performs in each group, no host wrongly believes
    /// that it does, and all acknowledged writes are there.
    pub(crate) fn end(
        &mut self,
        groups: &[Group],
        CheckContext { hosts, store, now }: CheckContext<'_>,
    ) {
        for group in groups {
            let acting = hosts.iter().filter(|host| host.can_act(group, now)).count();
            self.holds(acting == 1, Promise::SomebodyLeads, now, || {
                format!("{acting} hosts perform in {group} after the faults")
            });
            let robbed = hosts.iter().find(|h| h.terms.get(group).is_some_and(|t| t.robbed));
            self.holds(robbed.is_none(), Promise::SomebodyLeads, now, || {
                format!("{:?} never learned that it lost {group}", robbed.map(|host| host.name))
            });
        }
        let mut kept = vec![false; self.writes.len()];
        for id in store.data.registers.values().flat_map(|register| &register.log) {
            kept[*id] = true;
        }
        let missing = |id: &&usize| !kept[**id] && self.writes[**id] != WriteKnowledge::Undone;
        let lost = self.acknowledged.iter().find(missing).copied();
        self.holds(lost.is_none(), Promise::NothingLost, now, || {
            format!("write {lost:?} was acknowledged and is not there")
        });
    }

    /// Among equally suitable hosts, none leads two groups more than another that could take one
    /// over.
    pub(crate) fn even(
        &mut self,
        settings: &BTreeMap<Group, GroupConfig>,
        context: CheckContext<'_>,
    ) {
        let CheckContext { hosts, store, now } = context;
        let spread = || settings.iter().filter(|(_, config)| config.spread);
        let mut loads = vec![0_usize; hosts.len()];
        for (group, _) in spread() {
            let leader = store.leader(group).and_then(|key| store.owner(key.lease));
            if let Some(leader) = leader {
                loads[leader] += 1;
            }
        }
        // A group with preferences has no equally suitable hosts, since all priorities differ.
        let equals = spread().filter(|(_, config)| config.strategy == Strategy::LongestRunning);
        for (group, _) in equals {
            let stands = |key: &LeaderKey| store.owner(key.lease).map(|host| loads[host]);
            let queue: Vec<_> = store.queue(group).iter().filter_map(stands).collect();
            let (first, least) = (queue.first().copied(), queue.iter().min().copied());
            let even = first.unwrap_or(0) <= least.unwrap_or(0) + 1;
            self.holds(even, Promise::EvenlySpread, now, || {
                let names: Vec<_> = hosts.iter().map(|host| host.name).collect();
                format!("{names:?} lead {loads:?}, and {group} stays where it is")
            });
        }
    }

    pub(crate) fn holds(
        &mut self,
        holds: bool,
        promise: Promise,
        at: u64,
        story: impl FnOnce() -> String,
    ) {
        if !holds && self.broken.is_none() {
            self.broken = Some(BrokenPromise { promise, at, story: story() });
        }
    }
}
