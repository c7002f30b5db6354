//! Ids of calls and casts.

use std::hash::{BuildHasher, RandomState};

use soloist_heart::clock::unix_ms;

/// An id that no other host has given, nor this one before. Ids of a later millisecond sort
/// after it.
pub fn fresh_id() -> String {
    // The keys of std's hasher are the system's random numbers.
    let random = RandomState::new().hash_one(std::process::id());
    format!("{:011x}-{random:016x}", unix_ms())
}
