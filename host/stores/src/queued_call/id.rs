//! Ids of calls and queued calls.

use std::hash::{BuildHasher, RandomState};

use soloist_heart::clock::unix_ms;

/// A fresh id, unique among all hosts. Ids made in a later millisecond sort after earlier ones.
pub fn fresh_id() -> String {
    // std's hasher takes its keys from the system's random number generator.
    let random = RandomState::new().hash_one(std::process::id());
    format!("{:011x}-{random:016x}", unix_ms())
}
