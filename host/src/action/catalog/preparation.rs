//! Preparing an action beside all else: what has to be compiled takes its time, and nothing that
//! is ready, or gone, waits for that.

use std::{
    num::NonZero,
    sync::{
        Arc,
        mpsc::{Receiver, TryRecvError, channel},
    },
    thread,
};

use tokio::sync::{Notify, Semaphore};

use super::entry::FolderVersion;
use crate::action::{Action, PrepareError};
use soloist_guests::plugin::PluginEngine;

/// An action that has to be compiled.
pub(super) struct Preparation {
    version: FolderVersion,
    /// Where its outcome comes from, once it has begun.
    outcome: Option<Receiver<PrepareResult>>,
}

type PrepareResult = Result<Arc<Action>, PrepareError>;

/// Room for those that are under way, also for what nobody wants any more: one for each processor,
/// and a second one in any case, so that what takes long is not waited for by all.
pub(super) fn compile_permits() -> Arc<Semaphore> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    Arc::new(Semaphore::new(processors.max(2)))
}

impl Preparation {
    /// That of what was `seen`; it has not begun.
    pub(super) fn of(version: FolderVersion) -> Self {
        Self { version, outcome: None }
    }

    /// Whether it is that of what is `seen` now.
    pub(super) fn is_for(&self, seen: &FolderVersion) -> bool {
        self.version == *seen
    }

    /// Begins, unless it has, on a thread of its own if there is `room` for it; `done` is told of
    /// the end.
    pub(super) fn begin(
        &mut self,
        engine: &Arc<PluginEngine>,
        room: &Arc<Semaphore>,
        done: &Arc<Notify>,
    ) {
        if self.outcome.is_some() {
            return;
        }
        let Ok(permit) = Arc::clone(room).try_acquire_owned() else { return };
        let (to, outcome) = channel();
        let (config, engine, done) = (self.version.0.clone(), Arc::clone(engine), Arc::clone(done));
        let prepare = move || {
            // An error means that other content has come meanwhile.
            let _ = to.send(Action::prepare(&config, &engine));
            drop(permit);
            done.notify_one();
        };
        // Where the system gives no thread, the next look tries again.
        let begun = thread::Builder::new().name("prepare".to_owned()).spawn(prepare);
        self.outcome = begun.is_ok().then_some(outcome);
    }

    /// What came of it; nothing, as long as it goes on.
    pub(super) fn outcome(&mut self) -> Option<PrepareResult> {
        match self.outcome.as_ref()?.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            // A panic, which ends the process by itself.
            Err(TryRecvError::Disconnected) => {
                self.outcome = None;
                None
            }
        }
    }
}
