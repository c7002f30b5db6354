//! Compiling a plugin in the background: nothing that is ready, or was removed, waits for it.

use std::{
    num::NonZero,
    sync::{
        Arc,
        mpsc::{Receiver, TryRecvError, channel},
    },
    thread,
};

use tokio::sync::{Notify, Semaphore};

use super::folder_version::FolderVersion;
use crate::action::{prepare_error::PrepareError, prepared_action::Action};
use soloist_guests::plugin::PluginEngine;

/// A version that has to be compiled.
pub(super) struct Preparation {
    version: FolderVersion,
    /// Receives the result, once compiling has started.
    outcome: Option<Receiver<PrepareResult>>,
}

type PrepareResult = Result<Arc<Action>, PrepareError>;

/// Limits how many plugins are compiled at a time, including those that are no longer wanted: one
/// for each processor, and at least two, so that one slow plugin does not block all others.
pub(super) fn compile_permits() -> Arc<Semaphore> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    Arc::new(Semaphore::new(processors.max(2)))
}

impl Preparation {
    /// A preparation of `version`, not started.
    pub(super) fn of(version: FolderVersion) -> Self {
        Self { version, outcome: None }
    }

    /// Whether it is for `version`.
    pub(super) fn is_for(&self, version: &FolderVersion) -> bool {
        self.version == *version
    }

    /// Starts it on a thread of its own, unless it has started or `permits` is used up; `done` is
    /// notified of the end.
    pub(super) fn begin(
        &mut self,
        engine: &Arc<PluginEngine>,
        permits: &Arc<Semaphore>,
        done: &Arc<Notify>,
    ) {
        if self.outcome.is_some() {
            return;
        }
        let Ok(permit) = Arc::clone(permits).try_acquire_owned() else { return };
        let (sender, outcome) = channel();
        let (config, engine, done) = (self.version.0.clone(), Arc::clone(engine), Arc::clone(done));
        let prepare = move || {
            // An error means that the file has changed meanwhile.
            let _ = sender.send(Action::prepare(&config, &engine));
            drop(permit);
            done.notify_one();
        };
        // If the system gives no thread, the next scan tries again.
        let begun = thread::Builder::new().name("prepare".to_owned()).spawn(prepare);
        self.outcome = begun.is_ok().then_some(outcome);
    }

    /// The result; `None` while it is being compiled.
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
