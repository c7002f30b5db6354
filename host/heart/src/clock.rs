//! The boot-time clock, the only clock that deadlines are measured on; and how far the wall clock
//! can be trusted, which matters to schedules and to nothing else ([`ClockTrust`]).
//!
//! Wall time jumps, and Linux's monotonic clock stands still while the machine is suspended. A
//! lease in the store runs out all the same, so every deadline here is measured on `CLOCK_BOOTTIME`
//! (`clock_gettime(2)`), which is monotonic and includes the time that the system is suspended.

mod back_off;
mod clock_comparison;
mod clock_trust;

use std::{
    fs, io,
    ops::Add,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

pub use back_off::back_off;
pub use clock_comparison::{ClockComparison, ClockReading, ClockReport, ClockVerdict};
pub use clock_trust::ClockTrust;

/// A moment on the boot-time clock, in nanoseconds since this machine booted.
///
/// Moments of two machines, or of two boots of one machine, cannot be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(u64);

impl BootTime {
    /// A moment before every other: a deadline at this moment has always passed.
    pub const ZERO: Self = Self(0);
    /// A moment that never comes: no timer is set for it.
    pub const NEVER: Self = Self(u64::MAX);

    /// The current moment.
    #[must_use]
    pub fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let secs = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        Self(secs * 1_000_000_000 + nanos)
    }

    /// The moment `nanos` nanoseconds after boot.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since boot.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero when `earlier` is the later of the two.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for BootTime {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// Identifies the boot-time clock of this process: two processes with the same identity read the
/// same clock.
///
/// The identity covers one boot of one machine (Linux: `/proc/sys/kernel/random/boot_id`,
/// random(4)) and one time namespace, which may offset the clock (time_namespaces(7)).
///
/// # Errors
/// The system does not reveal its boot id.
pub fn identity() -> io::Result<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    // Kernels before 5.6 have no time namespaces.
    let namespace = fs::read_link("/proc/self/ns/time").unwrap_or_default();
    Ok(format!("{} {}", boot.trim(), namespace.display()))
}

/// The wall clock in milliseconds of Unix time: for people to read, never to compare.
#[must_use]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_forwards() {
        let first = BootTime::now();
        let second = BootTime::now();
        assert!(first > BootTime::ZERO);
        assert!(second >= first);
    }

    #[test]
    fn saturates_at_both_ends() {
        let early = BootTime::from_nanos(5);
        let late = BootTime::from_nanos(9);
        assert_eq!(late.since(early), Duration::from_nanos(4));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(BootTime::NEVER + Duration::from_secs(1), BootTime::NEVER);
    }
}
