//! The clock of all histories: the machine's boot-time clock. The bench and all clients share it,
//! so times compare exactly.

use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since this machine was started.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
}

/// A duration in nanoseconds.
pub(super) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds as milliseconds, for people.
pub(super) fn ms(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1000.0
}

/// Sleeps until `due`; returns at once if that has passed.
pub(super) fn sleep_until(due: u64) {
    let now = now();
    if due > now {
        thread::sleep(Duration::from_nanos(due - now));
    }
}
