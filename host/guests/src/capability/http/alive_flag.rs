//! A flag by which bodies learn that their instance has ended.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether an instance still exists. When an instance ends, the bodies that it was writing end as
/// if they were complete, so they check this flag.
#[derive(Clone, Debug)]
pub(super) struct AliveFlag(Arc<AtomicBool>);

impl Default for AliveFlag {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl AliveFlag {
    /// Whether the instance still exists.
    pub(super) fn is_alive(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    /// The instance ends.
    pub(super) fn clear(&self) {
        self.0.store(false, Ordering::Release);
    }
}
