//! An observer of this host's sessions that outlives the host, such as its supervisor.

use soloist_heart::LeaseId;

/// Is notified of each session, on the election thread. It must not block.
pub trait SessionObserver: Send + 'static {
    /// A session was opened. Nothing has been requested with it yet, so it cannot have won
    /// anything.
    fn opened(&mut self, lease: LeaseId);

    /// The store has confirmed that nothing of the session is left.
    fn ended(&mut self, lease: LeaseId);

    /// The store went back to an older state, so this host leads nothing until a person restarts
    /// it.
    fn store_went_back(&mut self);

    /// Whether an earlier process of this host has reported that. A restart after a crash does not
    /// count as a restart by a person.
    fn store_has_gone_back(&self) -> bool;
}

/// No observer.
impl SessionObserver for () {
    fn opened(&mut self, _: LeaseId) {}

    fn ended(&mut self, _: LeaseId) {}

    fn store_went_back(&mut self) {}

    fn store_has_gone_back(&self) -> bool {
        false
    }
}
