use proptest::prelude::*;

use super::*;

/// The queue of each group, front first. Hosts are numbered from 1.
type Queues = Vec<Vec<LeaseId>>;

fn hosts(count: usize) -> Vec<LeaseId> {
    (1..=count as i64).map(LeaseId).collect()
}

fn spread(queue: &[LeaseId]) -> SpreadGroup {
    let mut equals = queue.to_vec();
    equals.sort_unstable();
    let (next_leader, third) = (queue.get(1).copied(), queue.get(2).copied());
    SpreadGroup {
        leader: queue[0],
        next_leader,
        second_in_line: third,
        best_hosts: equals,
        fixed: false,
    }
}

fn spreads(queues: &Queues) -> Vec<SpreadGroup> {
    queues.iter().map(|queue| spread(queue)).collect()
}

/// One queue for each of `leaders`, containing all `hosts` and headed by that leader.
fn led_by(hosts: &[LeaseId], leaders: impl Iterator<Item = usize>) -> Queues {
    let queue = |leader: usize| {
        let mut queue = hosts.to_vec();
        queue.rotate_left(leader % hosts.len());
        queue
    };
    leaders.map(queue).collect()
}

fn loads(queues: &Queues, hosts: &[LeaseId]) -> Vec<usize> {
    let led = |host: &LeaseId| queues.iter().filter(|queue| queue[0] == *host).count();
    hosts.iter().map(led).collect()
}

fn is_even(loads: &[usize]) -> bool {
    let (most, least) = (loads.iter().max(), loads.iter().min());
    most.zip(least).is_none_or(|(most, least)| most - least <= 1)
}

/// Hands one group led by `from` over to `to`.
fn hand_over(queues: &mut Queues, from: LeaseId, to: LeaseId) {
    let queue = queues.iter_mut().find(|queue| queue[0] == from && queue.contains(&to)).unwrap();
    queue.retain(|host| *host != to);
    queue.insert(0, to);
}

/// Has every host step back where it is next too often, until no host does any more. Returns how
/// many times a host stepped back.
fn come_to_rest(queues: &mut Queues, hosts: &[LeaseId]) -> usize {
    let (mut steps, mut still) = (0, 0);
    for host in hosts.iter().cycle() {
        let now = spreads(queues);
        let back = SpreadPlan::of(&now).groups_to_step_back(*host, now.iter().enumerate());
        still = if back.is_empty() { still + 1 } else { 0 };
        if still == hosts.len() {
            break;
        }
        for group in back {
            let place = queues[group].remove(1);
            queues[group].push(place);
            steps += 1;
        }
        assert!(steps <= queues.len() * hosts.len() * 2, "no end: {queues:?}");
    }
    steps
}

#[test]
fn one_that_leads_all_gives_two_thirds_away_and_keeps_the_rest() {
    let hosts = hosts(3);
    let queues = led_by(&hosts, std::iter::repeat_n(0, 10));
    let plan = SpreadPlan::of(&spreads(&queues));
    let given: Vec<_> = plan.moves_from(LeaseId(1)).into_values().collect();
    assert_eq!(given, [3, 3], "{plan:?}");
    assert!(plan.moves_from(LeaseId(2)).is_empty());
}

#[test]
fn what_is_even_stays_and_a_dead_host_s_groups_would_be_spread() {
    let hosts = hosts(3);
    for count in [12, 13, 14, 100] {
        let mut queues = led_by(&hosts, 0..count);
        assert!(SpreadPlan::of(&spreads(&queues)).moves.is_empty());
        come_to_rest(&mut queues, &hosts);
        for dead in &hosts {
            let mut left = queues.clone();
            left.iter_mut().for_each(|queue| queue.retain(|host| host != dead));
            let others: Vec<_> = hosts.iter().copied().filter(|host| host != dead).collect();
            assert!(is_even(&loads(&left, &others)), "{count}: {left:?}");
        }
    }
}

#[test]
fn a_host_that_is_not_as_good_gets_nothing() {
    let (a, b, c) = (LeaseId(1), LeaseId(2), LeaseId(3));
    let mut spreads = vec![SpreadGroup { best_hosts: vec![a, b], ..spread(&[a, b, c]) }; 4];
    let plan = SpreadPlan::of(&spreads);
    assert_eq!(plan.moves_from(a), HostCounts::from([(b, 2)]));
    // A leader does not give away what no other host may lead, or what is fixed.
    spreads.iter_mut().for_each(|spread| spread.fixed = true);
    assert!(SpreadPlan::of(&spreads).moves_from(a).is_empty());
    let alone = vec![
        SpreadGroup {
            best_hosts: vec![a],
            next_leader: None,
            second_in_line: None,
            ..spread(&[a])
        };
        4
    ];
    assert!(SpreadPlan::of(&alone).moves_from(a).is_empty());
}

#[test]
fn what_one_leads_elsewhere_counts() {
    let (a, b, c) = (LeaseId(1), LeaseId(2), LeaseId(3));
    // The first host leads groups that the third may not lead, so all the others go to the third.
    let mut all = vec![SpreadGroup { best_hosts: vec![a, b], fixed: true, ..spread(&[a, b]) }; 3];
    all.extend(vec![spread(&[a, b, c]); 3]);
    let plan = SpreadPlan::of(&all);
    assert_eq!(plan.moves_from(a).values().sum::<usize>(), 3, "{plan:?}");
}

#[test]
fn whoever_is_next_too_often_makes_way_and_nobody_else() {
    let hosts = hosts(5);
    let mut queues = led_by(&hosts, std::iter::repeat_n(0, 100));
    // Of the 100 groups in which the second host is next, it keeps 25; the third then keeps 25 of
    // the remaining ones, and so on.
    assert_eq!(come_to_rest(&mut queues, &hosts), 75 + 50 + 25);
    let next = |host: &LeaseId| queues.iter().filter(|queue| queue[1] == *host).count();
    assert_eq!(hosts[1..].iter().map(next).collect::<Vec<_>>(), [25; 4]);
}

prop_compose! {
    /// A number of hosts, and who leads each group.
    fn a_cluster()(count in 2_usize..=7)(
        leaders in prop::collection::vec(0..count, 1..1000),
        // Often one host leads nearly all groups.
        first in 0..count,
        share in 0_usize..=10,
        count in Just(count),
    ) -> (Vec<LeaseId>, Queues) {
        let hosts = hosts(count);
        let whole = leaders.len() * share / 10;
        let leaders = leaders.into_iter().enumerate();
        let queues = led_by(&hosts, leaders.map(|(n, leader)| if n < whole { first } else { leader }));
        (hosts, queues)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// The result of the plan is even to within one, and no smaller number of moves would achieve
    /// that.
    #[test]
    fn the_plan_is_even_and_the_shortest((hosts, mut queues) in a_cluster()) {
        let moves = SpreadPlan::of(&spreads(&queues)).moves;
        let (low, before) = (queues.len() / hosts.len(), loads(&queues, &hosts));
        let above: usize = before.iter().map(|load| load.saturating_sub(low + 1)).sum();
        let below: usize = before.iter().map(|load| low.saturating_sub(*load)).sum();
        prop_assert_eq!(moves.values().sum::<usize>(), above.max(below));
        for ((from, to), count) in moves {
            (0..count).for_each(|_| hand_over(&mut queues, from, to));
        }
        prop_assert!(is_even(&loads(&queues, &hosts)), "{:?}", loads(&queues, &hosts));
    }

    /// Whichever move is made, the plan computed afterwards consists of the remaining ones. So
    /// hosts whose views lag behind each other by any number of moves still work on the same plan.
    #[test]
    fn it_stays_the_same_while_it_is_carried_out(
        (_, mut queues) in a_cluster(), seed in any::<u64>(),
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut rest = SpreadPlan::of(&spreads(&queues)).moves;
        while let Some(((from, to), _)) = random.choice(rest.clone()) {
            let load = |host| queues.iter().filter(|queue| queue[0] == host).count();
            prop_assert!(load(from) >= load(to) + 2, "no step nearer");
            hand_over(&mut queues, from, to);
            let left = rest.get_mut(&(from, to)).unwrap();
            *left -= 1;
            rest.retain(|_, left| *left > 0);
            prop_assert_eq!(&SpreadPlan::of(&spreads(&queues)).moves, &rest);
        }
    }

    /// Whatever the queues look like, the next leaders settle; a host that dies then leaves the
    /// others evenly loaded.
    #[test]
    fn whoever_dies_leaves_the_others_even((hosts, mut queues) in a_cluster(), dead in 0_usize..7) {
        while let Some(((from, to), _)) = SpreadPlan::of(&spreads(&queues)).moves.into_iter().next() {
            hand_over(&mut queues, from, to);
        }
        come_to_rest(&mut queues, &hosts);
        let dead = hosts[dead % hosts.len()];
        queues.iter_mut().for_each(|queue| queue.retain(|host| *host != dead));
        let others: Vec<_> = hosts.iter().copied().filter(|host| *host != dead).collect();
        prop_assert!(is_even(&loads(&queues, &others)), "{:?}", loads(&queues, &others));
    }

    /// Where some hosts may lead only some of the groups, each move still brings the cluster closer
    /// to even, until no host leads two groups more than another host that could take one over.
    #[test]
    fn each_move_brings_it_nearer_among_several_pools(
        queues in prop::collection::vec(
            (prop::sample::subsequence((1..=5).map(LeaseId).collect::<Vec<_>>(), 1..=5), any::<usize>()),
            1..60,
        ),
    ) {
        let rotated = |(mut queue, by): (Vec<LeaseId>, usize)| {
            let by = by % queue.len();
            queue.rotate_left(by);
            queue
        };
        let mut queues: Queues = queues.into_iter().map(rotated).collect();
        loop {
            let plan = SpreadPlan::of(&spreads(&queues));
            let Some(((from, to), _)) = plan.moves.clone().into_iter().next() else { break };
            let load = |host| queues.iter().filter(|queue| queue[0] == host).count();
            prop_assert!(load(from) >= load(to) + 2, "no step nearer");
            let movable = |queue: &&mut Vec<LeaseId>| queue[0] == from && plan.can_move(&spread(queue));
            let queue = queues.iter_mut().find(movable).unwrap();
            queue.retain(|host| *host != to);
            queue.insert(0, to);
        }
        let load = |host| queues.iter().filter(|queue| queue[0] == host).count();
        for queue in &queues {
            let least = queue.iter().map(|host| load(*host)).min().unwrap();
            prop_assert!(load(queue[0]) <= least + 1, "{queue:?}");
        }
    }
}
