//! Whether a version of an action has shown that it runs.

use std::sync::Arc;

use parking_lot::Mutex;

/// The trial of a version that was added or changed while the host ran.
pub(super) struct Trial<T>(Mutex<TrialState<T>>);

enum TrialState<T> {
    /// The version has run well, or there is nothing else to run.
    Over,
    /// The version has not run well yet. The version that ran well before it, if there is one.
    On(Option<Arc<T>>),
}

impl<T> Default for Trial<T> {
    fn default() -> Self {
        Self(Mutex::new(TrialState::Over))
    }
}

impl<T> Trial<T> {
    /// Starts the trial; `last_good` is the version to go back to.
    pub(super) fn start(&self, last_good: Option<Arc<T>>) {
        *self.0.lock() = TrialState::On(last_good);
    }

    /// Whether the version has not shown yet that it runs.
    pub(super) fn is_on(&self) -> bool {
        matches!(*self.0.lock(), TrialState::On(_))
    }

    /// The version to go back to, while the trial is on.
    pub(super) fn last_good(&self) -> Option<Arc<T>> {
        match &*self.0.lock() {
            TrialState::On(last_good) => last_good.clone(),
            TrialState::Over => None,
        }
    }

    /// Ends the trial: the version runs, so the one before it is no longer needed.
    pub(super) fn end(&self) {
        *self.0.lock() = TrialState::Over;
    }
}
