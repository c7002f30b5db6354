//! An end to the to and fro between hosts that do not agree on who should lead.
//!
//! Strategies are the same on every host, and see the same roster; but settings
//! may differ, and a plugin may go by what is not in the roster. Then one makes
//! way for another that makes way for it. Who has made way for the same session
//! several times in a short while stops doing so, until a host comes or goes.

use std::time::Duration;

use soloist_heart::{LeaseId, clock::BootTime};

/// How often a host makes way for the same session, within [`WINDOW`].
const TIMES: usize = 3;
/// The window, in times to settle.
const WINDOW: u32 = 10;
/// The shortest window.
const WINDOW_MIN: Duration = Duration::from_secs(10);

/// How often this host has made way for whom.
#[derive(Debug, Default)]
pub(super) struct HandOverLimit {
    made_way: Vec<(LeaseId, BootTime)>,
    exhausted: bool,
}

impl HandOverLimit {
    /// Takes down that this host makes way for the session of `lease`.
    pub(super) fn record(&mut self, lease: LeaseId, now: BootTime, settle: Duration) {
        let window = (settle * WINDOW).max(WINDOW_MIN);
        self.made_way.retain(|(_, at)| now.since(*at) < window);
        self.made_way.push((lease, now));
        if self.made_way.iter().filter(|(other, _)| *other == lease).count() >= TIMES {
            self.exhausted = true;
            self.made_way.clear();
        }
    }

    /// Whether it is over with making way.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Begins to make way again, since there is another host, or one less.
    pub(super) fn reset(&mut self) {
        self.exhausted = false;
    }
}
