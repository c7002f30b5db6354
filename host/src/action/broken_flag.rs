//! Whether the guest behind a response broke off.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether a guest broke off. The body of a guest that is gone looks complete, so without this flag
/// a client would take half a response for a whole one.
#[derive(Clone, Debug, Default)]
pub(super) struct BrokenFlag(Arc<AtomicBool>);

/// Sets the flag on drop, unless the guest was marked as finished.
pub(super) struct BrokenUnlessFinished(Option<BrokenFlag>);

impl BrokenFlag {
    /// A guard for the guest's task; it must be dropped before the guest's store.
    pub(super) fn guard(&self) -> BrokenUnlessFinished {
        BrokenUnlessFinished(Some(self.clone()))
    }

    /// Whether the guest broke off.
    pub(super) fn is_broken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl BrokenUnlessFinished {
    /// Notes that the guest returned.
    pub(super) fn mark_finished(mut self) {
        self.0 = None;
    }
}

impl Drop for BrokenUnlessFinished {
    fn drop(&mut self) {
        if let Some(fate) = &self.0 {
            fate.0.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_says_nothing_broke_off() {
        let fate = BrokenFlag::default();
        fate.guard().mark_finished();
        assert!(!fate.is_broken());
        drop(fate.guard());
        assert!(fate.is_broken());
    }
}
