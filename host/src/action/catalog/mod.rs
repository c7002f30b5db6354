//! The actions of this host, kept up to date with the plugins folder.
//!
//! Guarantees:
//! - What is published has been compiled and linked, so winning an election costs no compilation.
//! - Once a host runs, nothing waits for the compilation of something else.
//! - A change that is refused takes nothing away: the version before it goes on, and the status
//!   says why.
//! - Nothing in the folder prevents a start: a host that starts refuses the same things as running
//!   hosts, and goes on without them as well.

mod entry;
mod folder_version;
mod index;
mod mount_changes;
mod preparation;
mod startup_progress;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use self::index::CatalogIndex;
pub use self::startup_progress::StartupProgress;
use super::{action_failure::ActionFailure, programme::Programme};
use soloist_config::{ActionSet, ActionSource};
use soloist_guests::plugin::{FolderWatch, PluginEngine};

/// How often the folder is scanned even without a notification: some file systems send none.
const RESCAN: Duration = Duration::from_millis(800);

/// Keeps the programme up to date with the plugins folder.
pub struct Catalog {
    index: Arc<Mutex<CatalogIndex>>,
    engine: Arc<PluginEngine>,
    source: Arc<ActionSource>,
    published: watch::Sender<Arc<Programme>>,
    failures: mpsc::UnboundedReceiver<ActionFailure>,
    failure_sender: mpsc::UnboundedSender<ActionFailure>,
}

impl Catalog {
    /// Prepares what was read from `source`; what is invalid is refused, as it is later on. This
    /// blocks, and compiling can take seconds: `preparing` gets the progress.
    #[must_use]
    pub fn prepare(
        source: Arc<ActionSource>,
        reading: ActionSet,
        engine: Arc<PluginEngine>,
        preparing: &watch::Sender<StartupProgress>,
    ) -> Self {
        let mut index =
            CatalogIndex::fill(Arc::clone(&source), reading, Arc::clone(&engine), preparing);
        preparing.send_replace(StartupProgress::Compiled);
        let (published, _) = watch::channel(index.programme().into());
        let (failure_sender, failures) = mpsc::unbounded_channel();
        let index = Arc::new(Mutex::new(index));
        Self { index, engine, source, published, failures, failure_sender }
    }

    /// The programme, as it changes.
    #[must_use]
    pub fn programme(&self) -> watch::Receiver<Arc<Programme>> {
        self.published.subscribe()
    }

    /// Where versions that failed on trial are reported, so that the version before is used again.
    #[must_use]
    pub fn failures(&self) -> mpsc::UnboundedSender<ActionFailure> {
        self.failure_sender.clone()
    }

    /// The engine that runs the actions.
    #[must_use]
    pub fn engine(&self) -> Arc<PluginEngine> {
        Arc::clone(&self.engine)
    }

    /// Keeps the programme up to date until `stop`.
    pub async fn follow_folder(mut self, stop: CancellationToken) {
        let mut folder = FolderWatch::new(self.source.folder());
        let prepared = self.index.lock().preparation_done();
        loop {
            let failure = tokio::select! {
                () = stop.cancelled() => return,
                Some(failure) = self.failures.recv() => Some(failure),
                () = folder.changed() => None,
                () = prepared.notified() => None,
                () = sleep(RESCAN) => None,
            };
            self.change_index(move |index| match &failure {
                Some(failure) => index.roll_back(failure),
                None => index.rescan(),
            })
            .await;
        }
    }

    /// Changes the index on a thread that may block, and publishes the result.
    async fn change_index(&self, change: impl FnOnce(&mut CatalogIndex) -> bool + Send + 'static) {
        let index = Arc::clone(&self.index);
        let changed = spawn_blocking(move || {
            let mut index = index.lock();
            change(&mut index).then(|| index.programme())
        });
        // An error is a panic, which ends the process by itself.
        if let Ok(Some(programme)) = changed.await {
            self.published.send_replace(programme.into());
        }
    }
}
