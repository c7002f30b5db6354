//! The network between hosts and store: late, out of order, losing messages, or cut in one
//! direction.

use crate::simulation::{MS, Simulation};

/// A time during which one direction is cut.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NetworkCut {
    pub(crate) since: u64,
    pub(crate) until: u64,
    /// Whether messages sent during the cut arrive after it, as TCP retransmits unacknowledged
    /// data; otherwise they are lost.
    pub(crate) held: bool,
}

impl NetworkCut {
    /// Cuts the direction, or extends the current cut. Messages held until now arrive.
    pub(crate) fn again(&mut self, other: Self) {
        let lost = other.since < self.until && !self.held;
        let since = if lost { self.since } else { other.since.max(self.until) };
        *self = Self { since, ..other };
    }

    /// For how long nothing has come through.
    pub(crate) fn lasts(&self, now: u64) -> u64 {
        if now < self.until { now.saturating_sub(self.since) } else { 0 }
    }
}

impl Simulation {
    /// How long a request of `host` takes to reach the store; `None` if it is lost.
    pub(crate) fn delay_out(&mut self, host: usize) -> Option<u64> {
        let delay = self.delay(self.hosts[host].out)?;
        if !self.calm {
            return Some(delay);
        }
        // Without faults, the requests of one host arrive in order.
        let last = &mut self.hosts[host].last_arrival;
        *last = (*last + 1).max(self.now + delay);
        Some(*last - self.now)
    }

    /// How long an answer takes to reach `host`; `None` if it is lost.
    pub(crate) fn delay_back(&mut self, host: usize) -> Option<u64> {
        self.delay(self.hosts[host].back)
    }

    fn delay(&mut self, cut: NetworkCut) -> Option<u64> {
        if !self.faulty() {
            return Some(self.rng.u64(MS / 5..2 * MS));
        }
        let delay = self.rng.u64(MS / 5..self.latency * MS);
        if self.now < cut.until {
            return cut.held.then(|| cut.until - self.now + delay);
        }
        (self.loss == 0 || self.rng.u64(..1000) >= self.loss).then_some(delay)
    }
}
