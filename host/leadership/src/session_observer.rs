//! Who else must know of this host's sessions, and outlives it.

use soloist_heart::LeaseId;

/// Is told of each session, on the election thread: it must not wait for anything.
pub trait SessionObserver: Send + 'static {
    /// A session was opened. Nothing has been asked for in its name yet, so
    /// there is nothing that it could have won.
    fn opened(&mut self, lease: LeaseId);

    /// The store has said that nothing of a session is left.
    fn over(&mut self, lease: LeaseId);

    /// The store went back, so this host leads nothing until somebody restarts it.
    fn store_went_back(&mut self);

    /// Whether an earlier life of this host has said so. That it crashed is no restart by anybody.
    fn store_has_gone_back(&self) -> bool;
}

/// Nobody.
impl SessionObserver for () {
    fn opened(&mut self, _: LeaseId) {}

    fn over(&mut self, _: LeaseId) {}

    fn store_went_back(&mut self) {}

    fn store_has_gone_back(&self) -> bool {
        false
    }
}
