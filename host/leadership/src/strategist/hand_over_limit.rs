//! Stops hosts from handing over back and forth when they do not agree on who should lead.
//!
//! Normally strategies are the same on every host and see the same roster. But settings may differ,
//! and a plugin may use information that is not in the roster. Then one host makes way for another,
//! which makes way for the first again. A host that has made way for the same session several times
//! within a short time stops doing so until a host comes or goes.

use std::time::Duration;

use soloist_heart::{LeaseId, clock::BootTime};

/// How often a host makes way for the same session within the [`WINDOW`].
const TIMES: usize = 3;
/// The length of the window, in multiples of the group's settle time.
const WINDOW: u32 = 10;
/// The shortest window.
const WINDOW_MIN: Duration = Duration::from_secs(10);

/// How often this host has made way, and for which sessions.
#[derive(Debug, Default)]
pub(super) struct HandOverLimit {
    made_way: Vec<(LeaseId, BootTime)>,
    exhausted: bool,
}

impl HandOverLimit {
    /// Records that this host makes way for the session of `lease`.
    pub(super) fn record(&mut self, lease: LeaseId, now: BootTime, settle: Duration) {
        let window = (settle * WINDOW).max(WINDOW_MIN);
        self.made_way.retain(|(_, at)| now.since(*at) < window);
        self.made_way.push((lease, now));
        if self.made_way.iter().filter(|(other, _)| *other == lease).count() >= TIMES {
            self.exhausted = true;
            self.made_way.clear();
        }
    }

    /// Whether this host makes way no more.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Lets this host make way again, since another host has come or gone.
    pub(super) fn reset(&mut self) {
        self.exhausted = false;
    }
}
