//! The way between hosts and store: late, out of order, lost, or cut in one direction.

use crate::world::{MS, World};

/// A direction that is cut until then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cut {
    pub(crate) until: u64,
    /// What is sent meanwhile arrives after the cut, as TCP sends again what
    /// was not acknowledged; else it is lost.
    pub(crate) held: bool,
}

impl World {
    /// How long a request of `host` takes to the store; `None` if it is lost.
    pub(crate) fn way_out(&mut self, host: usize) -> Option<u64> {
        self.way(self.hosts[host].out)
    }

    /// How long an answer takes to `host`; `None` if it is lost.
    pub(crate) fn way_back(&mut self, host: usize) -> Option<u64> {
        self.way(self.hosts[host].back)
    }

    fn way(&mut self, cut: Cut) -> Option<u64> {
        if !self.faulty() {
            return Some(self.rng.u64(MS / 5..2 * MS));
        }
        let way = self.rng.u64(MS / 5..self.latency * MS);
        if self.now < cut.until {
            return cut.held.then(|| cut.until - self.now + way);
        }
        (self.loss == 0 || self.rng.u64(..1000) >= self.loss).then_some(way)
    }
}
