//! Spreading leaderships evenly: how many each of several equally suitable hosts should lead, and
//! which host should be next in line where.
//!
//! Every host computes the plan by itself from the roster, and does its own part of it: a leader
//! hands leaderships over, and a host that is next in line in too many groups steps back. No host
//! has to know what another is about to do, because the plan has these properties:
//!
//! - **It does not change while it is carried out.** Whichever move is made first, the plan
//!   computed afterwards consists of the remaining moves. Hosts whose views lag behind each other
//!   by a few moves therefore still work on the same plan.
//! - **Each move brings the cluster closer to even.** It goes from a host to one that leads at
//!   least two fewer groups. So an even distribution stays as it is, and as few leaderships as
//!   possible are moved.
//! - If a host dies, the hosts that are next in line for its groups leave the others evenly loaded.
//!
//! Groups that the same set of hosts may lead form a *pool*. Where there are several pools, moves
//! are planned in only one of them at a time, because moves in different pools could interfere.

use std::collections::BTreeMap;

use super::LeaseId;

/// A group whose leadership is to be spread, as its queue currently stands. Hosts are identified by
/// the leases of their sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadGroup {
    /// The host that leads the group.
    pub leader: LeaseId,
    /// The host that is next in line.
    pub next_leader: Option<LeaseId>,
    /// The first of the suitable hosts in line after the next in line.
    pub second_in_line: Option<LeaseId>,
    /// The equally suitable hosts, sorted; the current leader is included if it is one of them.
    pub best_hosts: Vec<LeaseId>,
    /// Whether the leader is to stay: its leadership counts, but is not moved.
    pub fixed: bool,
}

/// How many leaderships should move between which hosts, and how often each host should be next in
/// line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpreadPlan {
    /// The hosts of the one pool in which leaderships are moved.
    pool: Vec<LeaseId>,
    /// How many leaderships move, by giving and receiving host.
    moves: BTreeMap<(LeaseId, LeaseId), usize>,
    /// For each pool: in how many of one host's groups another host should be next in line.
    next_leaders: BTreeMap<Vec<LeaseId>, PairCounts>,
}

/// A count for each pair of hosts: the leader or giver first, the next in line or receiver second.
type PairCounts = BTreeMap<(LeaseId, LeaseId), usize>;
/// For each host, how many groups it leads.
type HostCounts = BTreeMap<LeaseId, usize>;

impl SpreadPlan {
    /// Computes the plan for all groups that are to be spread.
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
        plan.assign_next_leaders(&pools, &loads);
        plan
    }

    /// How many leaderships `host` is to give to each other host.
    #[must_use]
    pub fn moves_from(&self, host: LeaseId) -> BTreeMap<LeaseId, usize> {
        let own = self.moves.iter().filter(|((from, _), _)| *from == host);
        own.map(|((_, to), count)| (*to, *count)).collect()
    }

    /// Whether the leadership of `spread` may be one of those that move.
    #[must_use]
    pub fn can_move(&self, spread: &SpreadGroup) -> bool {
        !spread.fixed && spread.best_hosts == self.pool
    }

    /// The hosts that are to receive leaderships.
    pub fn receivers(&self) -> impl Iterator<Item = LeaseId> {
        self.moves.keys().map(|(_, to)| *to)
    }

    /// Those of `spreads` in which `host` is next in line and should step back, because it is next
    /// too often among the groups of the same leader.
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
            self.next_leaders
                .get(*pool)
                .map_or_else(Vec::new, |next| excess_next_leaders(host, *leader, next, queues))
        });
        back.collect()
    }

    /// Assigns, for each leader, how often each host of a pool should be next in line: first the
    /// hosts that are to take over, then whichever host would lead the least if the leader died.
    fn assign_next_leaders(
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
            self.next_leaders.insert(hosts.to_vec(), shares);
        }
    }
}

/// Plans how many leaderships of one pool move between which hosts; `loads` is updated to the
/// result.
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

/// Pairs givers and receivers in their order. Whichever move is made first, the remaining ones are
/// paired as before.
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

/// Of the `queues` of one pool and leader, those in which `host` is next in line and steps back.
fn excess_next_leaders<T: Copy>(
    host: LeaseId,
    leader: LeaseId,
    next: &PairCounts,
    queues: &[(T, &SpreadGroup)],
) -> Vec<T> {
    let share = |host| next.get(&(leader, host)).copied().unwrap_or_default();
    let times = count_by_host(queues.iter().filter_map(|(_, spread)| spread.next_leader));
    let missing = |other| share(other).saturating_sub(times.get(&other).copied().unwrap_or(0));
    let excess = times.get(&host).copied().unwrap_or(0).saturating_sub(share(host));
    let own = queues.iter().filter(|(_, spread)| spread.next_leader == Some(host));
    // First step back where the host behind is next too seldom: once for each time that it lacks.
    let mut missing: HostCounts =
        next.keys().filter(|(of, _)| *of == leader).map(|(_, h)| (*h, missing(*h))).collect();
    let (mut at_once, mut others) = (Vec::new(), Vec::new());
    for (name, spread) in own {
        let Some(third) = spread.second_in_line else { continue };
        match missing.get_mut(&third) {
            Some(missing) if *missing > 0 => {
                *missing -= 1;
                at_once.push(*name);
            }
            // In these, each host that comes next steps back in turn, until one is next that should
            // be.
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
