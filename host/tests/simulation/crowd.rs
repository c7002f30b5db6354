//! Many groups, on hosts that come and go. Nothing else goes wrong, but for views that lag.

use std::time::Duration;

use soloist_config::GroupConfig;
use soloist_heart::{Group, HeartEvent, Timings};

use crate::{
    mutant::Mutant,
    simulated_host::SimulatedHost,
    simulation::{MS, SECOND, World, scene},
    simulation_event::SimulationEvent,
};

const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

impl World {
    /// A calm world in which `groups` are spread over `hosts`.
    fn of_many(seed: u64, groups: usize, hosts: usize, settle: Duration) -> Self {
        let mut world = Self::new(seed, Mutant::Sound);
        let ttl = Duration::from_secs(5);
        world.timings = Timings::derive(ttl, Duration::from_millis(500), Duration::from_secs(3));
        let offset = |_| world.rng.u64(1000 * SECOND..1009 * SECOND);
        let offsets: Vec<_> = (0..hosts).map(offset).collect();
        let host = |(name, offset): (&&'static str, u64)| SimulatedHost::new(name, offset, 0);
        world.hosts = NAMES.iter().zip(offsets).map(host).collect();
        world.groups = (0..groups).map(|n| Group::from(&*format!("g{n}"))).collect();
        let config = GroupConfig { spread: true, settle, ..GroupConfig::DEFAULT };
        world.settings = world.groups.iter().map(|g| (g.clone(), config.clone())).collect();
        (world.calm, world.shows_within, world.job) = (true, 100 * MS, None);
        world.at(0, SimulationEvent::ShowRoster);
        world
    }

    /// Lets time pass, and asserts that no promise is broken.
    #[track_caller]
    fn live(&mut self, long: u64) {
        if let Err(broken) = self.pass(self.now + long) {
            panic!("{broken}");
        }
    }

    /// Asserts that the groups are spread evenly, and were so in peace.
    #[track_caller]
    fn is_even(&mut self) {
        self.checker.even(&self.settings, scene(&self.hosts, &self.store, self.now));
        assert!(self.checker.broken.is_none(), "{}", self.checker.broken.take().unwrap());
        assert_eq!(self.checker.figures.disagreements, 0);
    }
}

/// A life of `groups` on `hosts`: these start together or one by one; then, `times` over,
/// one of them is killed or stops, and comes back.
#[track_caller]
fn spread_over(seed: u64, groups: usize, hosts: usize, settle: Duration, times: usize) {
    let mut world = World::of_many(seed, groups, hosts, settle);
    let settled = 3 * settle.as_nanos() as u64;
    let apart = [0, 500 * MS, 3 * SECOND][world.rng.usize(..3)];
    for host in 0..hosts {
        world.at(host as u64 * apart, SimulationEvent::Boot(host));
    }
    world.live(hosts as u64 * apart + SECOND + settled);
    world.is_even();
    for _ in 0..times {
        let host = world.rng.usize(..hosts);
        if world.rng.bool() {
            world.crash(host, true);
        } else {
            let stop = SimulationEvent::ToHost(world.caller(host), HeartEvent::Shutdown);
            world.after(0, stop);
        }
        // Often the next one goes before it is even again.
        let pause = world.rng.u64(..2 * SECOND + settled);
        world.live(pause);
    }
    // Until the last one has stopped and is back.
    world.live(12 * SECOND + settled);
    world.is_even();
}

#[test]
fn groups_are_spread_evenly_whoever_comes_and_goes() {
    for seed in 0..12 {
        let groups = 1 + (seed as usize * 7) % 40;
        let settle = Duration::from_secs([1, 3, 10][seed as usize % 3]);
        spread_over(seed, groups, 2 + seed as usize % 6, settle, 6);
    }
}

#[test]
fn many_groups_are_spread_evenly() {
    for (groups, hosts) in [(100, 7), (300, 5)] {
        spread_over(1, groups, hosts, Duration::from_secs(10), 1);
    }
}
