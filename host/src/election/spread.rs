//! Spreading leaderships: which of several hosts should lead which groups, if
//! all of them are as good.
//!
//! Every host comes to the same plan, since nothing but the roster bears on it.
//! It moves as few leaderships as can be; and if a host dies, what it led is
//! spread over the others.

use std::collections::BTreeMap;

use super::Group;

/// A group whose leadership is to be spread.
#[derive(Clone, Debug)]
pub struct Spread<'a> {
    /// The group.
    pub group: &'a Group,
    /// Who leads it.
    pub leader: &'a str,
    /// Who may lead it, its leader included if it is as good.
    pub equals: Vec<&'a str>,
}

/// Who should lead a group, and who should be next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Who should lead.
    pub leader: &'a str,
    /// Who should be next, if there is anybody else.
    pub heir: Option<&'a str>,
}

/// The plan for all `groups`.
#[must_use]
pub fn plan<'a>(groups: &[Spread<'a>]) -> BTreeMap<&'a Group, Place<'a>> {
    let mut led: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, spread) in groups.iter().enumerate() {
        for host in &spread.equals {
            led.entry(host).or_default();
        }
        led.entry(spread.leader).or_default().push(index);
    }
    while even_out(groups, &mut led) {}
    let leader_of: BTreeMap<usize, &str> =
        led.iter().flat_map(|(host, led)| led.iter().map(move |index| (*index, *host))).collect();
    let mut after: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut place = |(index, spread): (usize, &Spread<'a>)| {
        let leader = leader_of.get(&index).copied().unwrap_or(spread.leader);
        // Whoever is next for fewer of this leader's groups, and leads fewer itself.
        let load = |heir: &'a str| (after.get(&(leader, heir)).copied(), led[heir].len(), heir);
        let others = spread.equals.iter().copied().filter(|host| *host != leader);
        let heir = if leader == spread.leader {
            others.min_by_key(|heir| load(heir))
        } else {
            // Who is to take over is next.
            Some(leader)
        };
        if let Some(heir) = heir {
            *after.entry((leader, heir)).or_default() += 1;
        }
        (spread.group, Place { leader, heir })
    };
    groups.iter().enumerate().map(&mut place).collect()
}

/// Moves one group from a host that leads many to one that leads few. Says whether it did.
fn even_out<'a>(groups: &[Spread<'a>], led: &mut BTreeMap<&'a str, Vec<usize>>) -> bool {
    let mut by_load: Vec<(usize, &str)> =
        led.iter().map(|(host, led)| (led.len(), *host)).collect();
    by_load.sort_unstable();
    for (many, from) in by_load.iter().rev() {
        for (few, to) in by_load.iter().take_while(|(few, _)| few + 1 < *many) {
            debug_assert!(few < many);
            let movable = |index: &usize| groups[*index].equals.contains(to);
            if let Some(at) = led[from].iter().rposition(movable) {
                let moved = led.get_mut(from).map(|led| led.remove(at));
                led.entry(to).or_default().extend(moved);
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [&str; 3] = ["a", "b", "c"];

    fn names(count: usize) -> Vec<Group> {
        (0..count).map(|number| Group::from(format!("g{number:03}").as_str())).collect()
    }

    fn loads(plan: &BTreeMap<&Group, Place<'_>>, hosts: &[&str]) -> Vec<usize> {
        let load = |host: &&str| plan.values().filter(|place| place.leader == *host).count();
        hosts.iter().map(load).collect()
    }

    #[test]
    fn one_that_leads_all_gives_two_thirds_away_and_keeps_the_rest() {
        let groups = names(10);
        let spread = |group| Spread { group, leader: "a", equals: HOSTS.to_vec() };
        let spreads: Vec<_> = groups.iter().map(spread).collect();
        let plan = plan(&spreads);
        assert_eq!(loads(&plan, &HOSTS), [4, 3, 3]);
        let moved = plan.values().filter(|place| place.leader != "a");
        assert!(moved.into_iter().all(|place| place.heir == Some(place.leader)), "{plan:?}");
    }

    #[test]
    fn what_is_even_stays_and_a_dead_host_s_groups_would_be_spread() {
        let groups = names(12);
        let spread =
            |(number, group)| Spread { group, leader: HOSTS[number % 3], equals: HOSTS.to_vec() };
        let spreads: Vec<_> = groups.iter().enumerate().map(spread).collect();
        let plan = plan(&spreads);
        assert!(spreads.iter().all(|spread| plan[spread.group].leader == spread.leader));
        for dead in HOSTS {
            let left: Vec<_> = HOSTS.into_iter().filter(|host| *host != dead).collect();
            let heirs = plan.values().filter(|place| place.leader == dead).map(|place| place.heir);
            let heirs: Vec<_> = heirs.flatten().collect();
            let taken = |host: &str| heirs.iter().filter(|heir| **heir == host).count();
            assert_eq!((taken(left[0]), taken(left[1])), (2, 2), "{plan:?}");
        }
    }

    #[test]
    fn a_host_that_is_not_as_good_gets_nothing() {
        let groups = names(4);
        let spread = |group| Spread { group, leader: "a", equals: vec!["a", "b"] };
        let spreads: Vec<_> = groups.iter().map(spread).collect();
        assert_eq!(loads(&plan(&spreads), &HOSTS), [2, 2, 0]);
        let alone: Vec<_> =
            groups.iter().map(|group| Spread { group, leader: "a", equals: vec!["a"] }).collect();
        assert!(plan(&alone).values().all(|place| place.leader == "a" && place.heir.is_none()));
    }

    #[test]
    fn a_thousand_groups_are_planned_with_as_few_moves_as_can_be() {
        let groups = names(1000);
        let hosts = ["a", "b", "c", "d", "e"];
        let spread = |group| Spread { group, leader: "a", equals: hosts.to_vec() };
        let spreads: Vec<_> = groups.iter().map(spread).collect();
        assert_eq!(loads(&plan(&spreads), &hosts), [200; 5]);
    }
}
