//! Many groups, on hosts that come and go. Nothing else goes wrong, except that views lag behind.

use std::time::Duration;

use soloist_config::GroupConfig;
use soloist_heart::{Group, HeartEvent, Timings};

use crate::{
    mutant::Mutant,
    simulated_host::SimulatedHost,
    simulation::{MS, SECOND, Simulation, check_context},
    simulation_event::SimulationEvent,
};

const NAMES: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

impl Simulation {
    /// A simulation without faults in which `groups` are spread over `hosts`.
    fn of_many(seed: u64, groups: usize, hosts: usize, settle: Duration) -> Self {
        let mut simulation = Self::new(seed, Mutant::Sound);
        let ttl = Duration::from_secs(5);
        simulation.timings =
            Timings::derive(ttl, Duration::from_millis(500), Duration::from_secs(3));
        let offset = |_| simulation.rng.u64(1000 * SECOND..1009 * SECOND);
        let offsets: Vec<_> = (0..hosts).map(offset).collect();
        let host = |(name, offset): (&&'static str, u64)| SimulatedHost::new(name, offset, 0);
        simulation.hosts = NAMES.iter().zip(offsets).map(host).collect();
        simulation.groups = (0..groups).map(|n| Group::from(&*format!("g{n}"))).collect();
        let config = GroupConfig { spread: true, preempt_delay: settle, ..GroupConfig::DEFAULT };
        simulation.settings =
            simulation.groups.iter().map(|g| (g.clone(), config.clone())).collect();
        (simulation.calm, simulation.shows_within, simulation.job) = (true, 100 * MS, None);
        simulation.at(0, SimulationEvent::ShowRoster);
        simulation
    }

    /// Lets time pass, and asserts that no promise is broken.
    #[track_caller]
    fn live(&mut self, long: u64) {
        if let Err(broken) = self.run_until(self.now + long) {
            panic!("{broken}");
        }
    }

    /// Asserts that the groups are spread evenly, and that no disagreement was detected.
    #[track_caller]
    fn assert_even(&mut self) {
        self.checker.even(&self.settings, check_context(&self.hosts, &self.store, self.now));
        assert!(self.checker.broken.is_none(), "{}", self.checker.broken.take().unwrap());
        assert_eq!(self.checker.figures.disagreements, 0);
    }
}

/// Spreads `groups` over `hosts`, which start together or one by one. Then, `times` times, one of
/// them is killed or stopped, and comes back.
#[track_caller]
fn spread_over(seed: u64, groups: usize, hosts: usize, settle: Duration, times: usize) {
    let mut simulation = Simulation::of_many(seed, groups, hosts, settle);
    let settled = 3 * settle.as_nanos() as u64;
    let apart = [0, 500 * MS, 3 * SECOND][simulation.rng.usize(..3)];
    for host in 0..hosts {
        simulation.at(host as u64 * apart, SimulationEvent::Boot(host));
    }
    simulation.live(hosts as u64 * apart + SECOND + settled);
    simulation.assert_even();
    for _ in 0..times {
        let host = simulation.rng.usize(..hosts);
        if simulation.rng.bool() {
            simulation.crash(host, true);
        } else {
            let stop = SimulationEvent::ToHost(simulation.caller(host), HeartEvent::Shutdown);
            simulation.after(0, stop);
        }
        // Often the next host goes before the groups are even again.
        let pause = simulation.rng.u64(..2 * SECOND + settled);
        simulation.live(pause);
    }
    // Until the last host has stopped and is back.
    simulation.live(12 * SECOND + settled);
    simulation.assert_even();
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
