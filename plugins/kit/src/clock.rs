//! Times, and chance.
//!
//! What is kept in state is in wall time, since the next leader has another
//! boot-time clock. Nothing relies on it being right: a time that lies further
//! ahead than it could have been put is one of a clock that was set back.

use crate::bindings::wasi::{
    clocks::{
        monotonic_clock::{Instant, now, subscribe_instant},
        wall_clock,
    },
    random::random::get_random_u64,
};
use crate::{Pollable, poll};

const NS_PER_MS: u64 = 1_000_000;

/// Wall time, in milliseconds since 1970.
#[must_use]
pub fn wall_ms() -> u64 {
    let now = wall_clock::now();
    now.seconds.saturating_mul(1000).saturating_add(u64::from(now.nanoseconds) / NS_PER_MS)
}

/// How long it is until `due`, which was put at most `longest` ahead; all in
/// milliseconds.
#[must_use]
pub fn until(due: u64, now: u64, longest: u64) -> u64 {
    due.saturating_sub(now).min(longest)
}

/// A moment on the clock of this instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Instant);

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self(now())
    }

    /// The moment `ms` milliseconds later.
    #[must_use]
    pub fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(NS_PER_MS)))
    }

    /// How many milliseconds it is past `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / NS_PER_MS
    }

    /// Becomes ready at this moment.
    #[must_use]
    pub fn pollable(self) -> Pollable {
        subscribe_instant(self.0)
    }
}

/// Waits `ms` milliseconds or for `ending`, whichever comes first. Whether the
/// term goes on.
#[must_use]
pub fn pause(ms: u64, ending: &Pollable) -> bool {
    poll(&[ending, &Moment::now().plus(ms).pollable()]);
    !ending.ready()
}

/// A number that nobody can guess.
#[must_use]
pub fn random() -> u64 {
    get_random_u64()
}

#[cfg(test)]
mod tests {
    use super::until;

    #[test]
    fn a_clock_that_was_set_back_does_not_hold_up() {
        assert_eq!(until(1_500, 1_000, 2_000), 500);
        assert_eq!(until(1_000, 1_500, 2_000), 0);
        assert_eq!(until(9_000_000, 1_000, 2_000), 2_000);
    }
}
