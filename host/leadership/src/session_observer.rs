//! An observer of this host's sessions that outlives the host, such as its supervisor.

use soloist_heart::{FencingToken, LeaseId};

/// Is notified of each session, on the election thread. It must not block.
pub trait SessionObserver: Send + 'static {
    /// A session was opened. Nothing has been requested with it yet, so it cannot have won
    /// anything.
    fn opened(&mut self, lease: LeaseId);

    /// The store has confirmed that nothing of the session is left.
    fn ended(&mut self, lease: LeaseId);

    /// The store is not the one that it was, so this host leads nothing before the store's fencing
    /// tokens exceed `above`.
    fn store_changed(&mut self, above: FencingToken);

    /// The store's fencing tokens are high enough.
    fn tokens_raised(&mut self);

    /// What an earlier process of this host has reported by
    /// [`store_changed`](Self::store_changed), if it did not come to report that they are high
    /// enough.
    fn tokens_to_raise(&self) -> Option<FencingToken>;
}

/// No observer.
impl SessionObserver for () {
    fn opened(&mut self, _: LeaseId) {}

    fn ended(&mut self, _: LeaseId) {}

    fn store_changed(&mut self, _: FencingToken) {}

    fn tokens_raised(&mut self) {}

    fn tokens_to_raise(&self) -> Option<FencingToken> {
        None
    }
}
