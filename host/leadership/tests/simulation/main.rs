//! The seeded simulation: the heart under thousands of random failure scenarios.
//!
//! Each seed makes a world: a few hosts with drifting clocks, a store, and a network between them
//! that delays, loses and reorders messages and may be cut in one or both directions. Processes
//! freeze, are killed and come back, with a supervisor or without. The store stands still, changes
//! its leader, refuses to let hosts give anything up, loses keys that somebody deletes by hand, and
//! sometimes goes back to an older state, which hosts notice before they receive anything else from
//! it. Notifications are lost, and foreign keys stand in queues. Each host has a strategist, with
//! preferences and spreading. Leaders write to a fenced register, answer clients, and claim the
//! runs of a job by wall clocks that may be off by days. A checker knows the true time and the
//! state of every host, and names the [promise](promise::Promise) that is broken: something that
//! must never happen did, or nobody leads although some host could. After the faults stop, some
//! host must lead again.
//!
//! A failing seed is printed. To replay it with its full history:
//!
//! ```text
//! SOLOIST_SEED=1234 cargo test -p soloist-leadership --test simulation replay -- --nocapture
//! ```

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and a replay prints its history"
)]

mod agenda;
mod checked_runs;
mod checker;
mod clocks;
mod crowd;
mod effects;
mod faults;
mod figures;
mod host_status;
mod jobs;
mod liveness;
mod mutant;
mod network;
mod process;
mod promise;
mod register;
mod roster_news;
mod simulated_host;
mod simulated_store;
mod simulation;
mod simulation_event;
mod store_calls;
mod store_request;

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use figures::Figures;
use mutant::Mutant;
use simulation::Simulation;

/// How many seeds the test runs; `SOLOIST_SEEDS` sets another number.
const SEEDS: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().expect("a number"))
}

/// Runs the simulations of all seeds below `seeds`, on every core.
fn run_all(seeds: u64) -> Figures {
    let next = AtomicU64::new(0);
    let worker = || {
        let mut all = Figures::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return all;
            }
            match Simulation::new(seed, Mutant::Sound).run() {
                Ok(figures) => all += figures,
                Err(broken) => panic!(
                    "seed {seed} breaks a promise: {broken}; replay it with:\n  \
                     SOLOIST_SEED={seed} cargo test -p soloist-leadership --test simulation replay -- \
                     --nocapture"
                ),
            }
        }
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let mut all = Figures::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            all += worker.join().expect("a worker that saw no promise broken");
        }
    });
    all
}

#[test]
fn promises_hold_in_every_world() {
    let seeds = number("SOLOIST_SEEDS").unwrap_or(SEEDS);
    let seen = run_all(seeds);
    println!("{seen:#?}");
    assert_eq!(seen.worlds, seeds);
    // On average a simulation is busy, and rare things happen too.
    assert!(seen.terms >= 5 * seeds, "{seen:?}");
    assert!(seen.faults >= 10 * seeds, "{seen:?}");
    assert!(seen.writes >= 50 * seeds && seen.acknowledged >= 50 * seeds, "{seen:?}");
    assert!(seen.answers >= 50 * seeds && seen.refused >= seeds, "{seen:?}");
    assert!(seen.fenced >= seeds / 20 && seen.restored >= seeds / 32, "{seen:?}");
    assert!(seen.runs >= 5 * seeds, "{seen:?}");
}

#[test]
fn replay() {
    let seed = number("SOLOIST_SEED").unwrap_or(1);
    let ended = Simulation::new(seed, Mutant::Sound).with_history().run();
    println!("{ended:?}");
    assert!(ended.is_ok(), "{}", ended.unwrap_err());
}
