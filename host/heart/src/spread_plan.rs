//! Spreading leaderships: how many each of several hosts should lead, if all of them are
//! as good, and who should be next where.
//!
//! Every host makes the plan by itself, from what the roster shows, and does its own part
//! of it: a leader gives leaderships away, and a host that is next in too many places steps
//! back. Nobody has to know what another host is about to do, since of the plan holds:
//!
//! - **It does not change while it is carried out.** Whichever of its moves is made first,
//!   the plan of what is then there is the rest of it. So hosts whose views lag behind each
//!   other by some of its moves still do parts of one plan.
//! - **Each move brings it nearer**, from a host to one that leads less by two or more; so
//!   what is even stays as it is, and as few leaderships are moved as can be.
//! - If a host dies, those that are next where it led make the others even.
//!
//! Groups that the same hosts may lead are a *pool*. Where there are several, moves are
//! planned within one at a time: those of another could cross them.

use std::collections::BTreeMap;

use super::LeaseId;

/// A group whose leadership is to be spread, as its queue stands. Hosts go by their sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadGroup {
    /// Who leads it.
    pub leader: LeaseId,
    /// Who is next.
    pub heir: Option<LeaseId>,
    /// Which of those that may lead it comes after that one.
    pub second_heir: Option<LeaseId>,
    /// Who may lead it, its leader included if it is as good; in order.
    pub best_hosts: Vec<LeaseId>,
    /// Whether its leader is to stay: it counts, but it is not moved.
    pub fixed: bool,
}

/// How many leaderships should go from whom to whom, and who should be next how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpreadPlan {
    /// The hosts of the one pool in which leaderships are moved.
    pool: Vec<LeaseId>,
    /// How many, from whom to whom.
    moves: BTreeMap<(LeaseId, LeaseId), usize>,
    /// In how many groups of a pool that one host leads another should be next.
    heirs: BTreeMap<Vec<LeaseId>, PairCounts>,
}

/// For a leader and a host: how often.
type PairCounts = BTreeMap<(LeaseId, LeaseId), usize>;
/// For each host, how many groups it leads.
type HostCounts = BTreeMap<LeaseId, usize>;

impl SpreadPlan {
    /// The plan for all groups that are to be spread.
    pub fn of<'a>(spreads: impl IntoIterator<Item = &'a SpreadGroup> + Clone) -> Self {
        let mut loads = HostCounts::new();
        let mut pools: BTreeMap<&[LeaseId], Vec<&SpreadGroup>> = BTreeMap::new();
        for spread in spreads {
            *loads.entry(spread.leader).or_default() += 1;
            spread.best_hosts.iter().for_each(|host| *loads.entry(*host).or_default() += 0);
            pools.entry(&spread.best_hosts).or_default().push(spread);
        }
        let mut plan = Self::default();
        for (hosts, spreads) in &pools {
            plan.moves = plan_moves(hosts, spreads, &mut loads);
            if !plan.moves.is_empty() {
                plan.pool = hosts.to_vec();
                break;
            }
        }
        plan.assign_heirs(&pools, &loads);
        plan
    }

    /// How many leaderships each host is to be given by `host`.
    #[must_use]
    pub fn moves_from(&self, host: LeaseId) -> BTreeMap<LeaseId, usize> {
        let own = self.moves.iter().filter(|((from, _), _)| *from == host);
        own.map(|((_, to), count)| (*to, *count)).collect()
    }

    /// Whether a leadership of `spread` may be one of those that are given away.
    #[must_use]
    pub fn can_move(&self, spread: &SpreadGroup) -> bool {
        !spread.fixed && spread.best_hosts == self.pool
    }

    /// Who is to be given leaderships.
    pub fn receivers(&self) -> impl Iterator<Item = LeaseId> {
        self.moves.keys().map(|(_, to)| *to)
    }

    /// In which of `spreads` the host is next and should step back: it is so too often where
    /// the same host leads.
    pub fn groups_to_step_back<'a, T: Copy>(
        &self,
        host: LeaseId,
        spreads: impl IntoIterator<Item = (T, &'a SpreadGroup)>,
    ) -> Vec<T> {
        let mut queues = BTreeMap::<(&[LeaseId], LeaseId), Vec<_>>::new();
        for (name, spread) in spreads {
            let key = (&*spread.best_hosts, spread.leader);
            queues.entry(key).or_default().push((name, spread));
        }
        let back = queues.iter().flat_map(|((pool, leader), queues)| {
            self.heirs
                .get(*pool)
                .map_or_else(Vec::new, |next| excess_heirs(host, *leader, next, queues))
        });
        back.collect()
    }

    /// Gives each pool's hosts their shares of who is next, for each leader: first those who
    /// are to take over, then whoever would lead the least if the leader died.
    fn assign_heirs(
        &mut self,
        pools: &BTreeMap<&[LeaseId], Vec<&SpreadGroup>>,
        loads: &HostCounts,
    ) {
        let mut if_it_died: BTreeMap<LeaseId, HostCounts> = BTreeMap::new();
        for (hosts, spreads) in pools {
            let moved = if **hosts == *self.pool { self.moves.clone() } else { PairCounts::new() };
            let mut shares = moved.clone();
            for (leader, led) in count_by_host(spreads.iter().map(|spread| spread.leader)) {
                let given: usize = hosts.iter().filter_map(|to| moved.get(&(leader, *to))).sum();
                let loads = if_it_died.entry(leader).or_insert_with(|| loads.clone());
                for _ in given..led {
                    let others = hosts.iter().filter(|host| **host != leader);
                    let Some(next) = others.min_by_key(|host| (loads[*host], **host)) else {
                        break;
                    };
                    *loads.entry(*next).or_default() += 1;
                    *shares.entry((leader, *next)).or_default() += 1;
                }
            }
            self.heirs.insert(hosts.to_vec(), shares);
        }
    }
}

/// How many leaderships of one pool go from whom to whom; `loads` becomes what is then led.
fn plan_moves(hosts: &[LeaseId], spreads: &[&SpreadGroup], loads: &mut HostCounts) -> PairCounts {
    let movable = spreads.iter().filter(|spread| !spread.fixed && hosts.contains(&spread.leader));
    let mut movable = count_by_host(movable.map(|spread| spread.leader));
    let (mut gives, mut takes) = (HostCounts::new(), HostCounts::new());
    loop {
        let load = |host: &LeaseId| (loads[host], *host);
        let most = movable.iter().filter(|(_, left)| **left > 0).map(|(host, _)| load(host)).max();
        let least = hosts.iter().map(load).min();
        let (Some((many, from)), Some((few, to))) = (most, least) else { break };
        if many < few + 2 {
            break;
        }
        *movable.entry(from).or_default() -= 1;
        for (host, moved) in [(from, &mut gives), (to, &mut takes)] {
            *moved.entry(host).or_default() += 1;
        }
        loads.extend([(from, many - 1), (to, few + 1)]);
    }
    pair_moves(gives, takes)
}

/// Who gives how many to whom, the first to the first. Whichever is given first, the rest
/// are paired as before.
fn pair_moves(gives: HostCounts, takes: HostCounts) -> PairCounts {
    let mut takes = takes.into_iter();
    let (mut to, mut wanted) = takes.next().unwrap_or((LeaseId(0), 0));
    let mut moves = PairCounts::new();
    for (from, mut left) in gives {
        while left > 0 {
            if wanted == 0 {
                (to, wanted) = takes.next().unwrap_or((to, left));
            }
            let moved = left.min(wanted);
            *moves.entry((from, to)).or_default() += moved;
            (left, wanted) = (left - moved, wanted - moved);
        }
    }
    moves
}

/// Of the `queues` of one pool and leader, those in which `host` is next and steps back.
fn excess_heirs<T: Copy>(
    host: LeaseId,
    leader: LeaseId,
    next: &PairCounts,
    queues: &[(T, &SpreadGroup)],
) -> Vec<T> {
    let share = |host| next.get(&(leader, host)).copied().unwrap_or_default();
    let times = count_by_host(queues.iter().filter_map(|(_, spread)| spread.heir));
    let missing = |other| share(other).saturating_sub(times.get(&other).copied().unwrap_or(0));
    let excess = times.get(&host).copied().unwrap_or(0).saturating_sub(share(host));
    let own = queues.iter().filter(|(_, spread)| spread.heir == Some(host));
    // Where it makes way for one that is next too seldom: once for each time that misses.
    let mut missing: HostCounts =
        next.keys().filter(|(of, _)| *of == leader).map(|(_, h)| (*h, missing(*h))).collect();
    let (mut at_once, mut others) = (Vec::new(), Vec::new());
    for (name, spread) in own {
        let Some(third) = spread.second_heir else { continue };
        match missing.get_mut(&third) {
            Some(missing) if *missing > 0 => {
                *missing -= 1;
                at_once.push(*name);
            }
            // Whoever comes next there steps back in turn, until one does that is wanted.
            _ => others.push(*name),
        }
    }
    at_once.into_iter().chain(others).take(excess).collect()
}

fn count_by_host(hosts: impl Iterator<Item = LeaseId>) -> HostCounts {
    let mut times = HostCounts::new();
    hosts.for_each(|host| *times.entry(host).or_default() += 1);
    times
}

#[cfg(test)]
mod tests;
