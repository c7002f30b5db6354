//! Writes that are no matter of leadership, one after the other.
//!
//! Invariant: they never starve a renewal. One write at a time is handed to the
//! worker, and none again for as long as it took: a renewal of this host finds
//! one such write before it in the inbox, and one of another host finds the
//! file's lock free half of the time.

use std::sync::Arc;

use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, sleep_until, timeout_at},
};

use super::{Calls, fault::Fault, file::File};
use crate::store::StoreError;

/// Who takes turns to write. Clones are the same: there is one for all that is kept.
#[derive(Clone)]
pub(super) struct Turns {
    /// Held by the write that is under way; when the next may be handed in.
    turn: Arc<Mutex<Instant>>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self { turn: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Has the worker write, within the request time-out.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        calls: &Calls,
        attempted: &'static str,
        work: impl FnOnce(&mut File) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let told = |fault: Fault| fault.into_error(attempted, &calls.label);
        let in_time = Instant::now() + calls.request_timeout;
        let turn = timeout_at(in_time, self.take()).await;
        let mut turn = turn.map_err(|_| told(Fault::Crowded))?;
        let write = move |file: &mut File| {
            let began = Instant::now();
            let done = work(file);
            // The turn is given back here: by a caller that leaves early, writes
            // would pile up in the inbox.
            *turn = Instant::now() + began.elapsed();
            done
        };
        let done = timeout_at(in_time, calls.call(attempted, write)).await;
        done.unwrap_or_else(|_| Err(told(Fault::TimedOut)))
    }

    async fn take(&self) -> OwnedMutexGuard<Instant> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        sleep_until(*turn).await;
        turn
    }
}
