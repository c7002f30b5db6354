//! The seeded simulation: the heart through thousands of bad days.
//!
//! Each seed makes a world: some hosts with clocks that drift, a store, and a
//! network between them that delays, loses and reorders; hosts freeze, crash
//! and are cut off. A checker watches every command and knows the true time.
//! After the faults stop, some host must lead again.
//!
//! A failing seed is printed. To replay it with its whole history:
//!
//! ```text
//! SOLOIST_SEED=1234 cargo test -p soloist --test simulation replay -- --nocapture
//! ```

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and a replay prints its history"
)]

mod checker;
mod faults;
mod host;
mod network;
mod store;
mod world;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use world::World;

/// How many worlds the test runs; `SOLOIST_SEEDS` asks for another number.
const SEEDS: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().expect("a number"))
}

/// Runs one world to its end; a broken promise panics.
fn run(seed: u64, history: bool) {
    World::new(seed, history).run();
}

#[test]
fn promises_hold_in_every_world() {
    let seeds = number("SOLOIST_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return;
            }
            if catch_unwind(AssertUnwindSafe(|| run(seed, false))).is_err() {
                panic!(
                    "seed {seed} breaks a promise; replay it with:\n  SOLOIST_SEED={seed} \
                     cargo test -p soloist --test simulation replay -- --nocapture"
                );
            }
        }
    };
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(worker);
        }
    });
}

#[test]
fn replay() {
    run(number("SOLOIST_SEED").unwrap_or(1), true);
}
