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
mod index;
mod mount_changes;
mod preparation;
mod startup_progress;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use self::index::CatalogIndex;
pub use self::startup_progress::StartupProgress;
use super::{Action, ActionFailure};
use soloist_config::{ActionSet, ActionSource, ReservedMount, Schedule};
use soloist_guests::plugin::{FolderWatch, Kind, PluginEngine};
use soloist_heart::Group;

/// How often the folder is scanned even without a notification: some file systems send none.
const LOOK: Duration = Duration::from_millis(800);

/// What this host runs, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Programme {
    /// The actions, by name.
    pub actions: Vec<Arc<Action>>,
    /// The plugins that were refused, and why.
    pub refused: Vec<RefusedPlugin>,
    /// The groups that this host must not lead because the settings file names an action of theirs
    /// that was refused; with the reason.
    pub obstacles: BTreeMap<Group, String>,
}

impl Programme {
    /// The actions that the leader of `group` runs.
    #[must_use]
    pub fn for_group(&self, group: &Group) -> Vec<Arc<Action>> {
        self.term_actions().filter(|action| action.group() == group).cloned().collect()
    }

    /// The same for every group that has actions.
    #[must_use]
    pub fn by_group(&self) -> BTreeMap<Group, Vec<Arc<Action>>> {
        let mut groups = BTreeMap::<_, Vec<_>>::new();
        for action in self.term_actions() {
            groups.entry(action.group().clone()).or_default().push(Arc::clone(action));
        }
        groups
    }

    /// The groups that have actions, or should have.
    #[must_use]
    pub fn groups(&self) -> BTreeSet<Group> {
        let groups = self.term_actions().map(|action| action.group().clone());
        groups.chain(self.obstacles.keys().cloned()).collect()
    }

    /// Whether the leader of `group` depends on wall time because one of its actions has a
    /// schedule.
    #[must_use]
    pub fn needs_wall_time(&self, group: &Group) -> bool {
        let jobs = self.term_actions().filter(|action| action.group() == group);
        jobs.filter_map(|action| action.job()).any(|job| job.schedule != Schedule::OnDemand)
    }

    /// Why the action `name` was refused, if it was.
    #[must_use]
    pub fn refusal(&self, name: &str) -> Option<&str> {
        let refused = self.refused.iter().find(|refused| refused.name == name);
        refused.map(|refused| &*refused.reason)
    }

    /// The tasks, which every host may be asked to run.
    pub fn tasks(&self) -> impl Iterator<Item = &Arc<Action>> {
        self.actions.iter().filter(|action| action.kinds().has(Kind::Task))
    }

    fn term_actions(&self) -> impl Iterator<Item = &Arc<Action>> {
        self.actions.iter().filter(|action| action.kinds().need_term())
    }
}

/// Something in the plugins folder that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedPlugin {
    /// The name that the action would have.
    pub name: String,
    /// Why it was refused, and what to do about it.
    pub reason: String,
    /// Where it would answer requests, if it might.
    pub reserved: Option<ReservedMount>,
}

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
        let mut shelf =
            CatalogIndex::fill(Arc::clone(&source), reading, Arc::clone(&engine), preparing);
        preparing.send_replace(StartupProgress::Compiled);
        let (published, _) = watch::channel(shelf.programme().into());
        let (failure_sender, failures) = mpsc::unbounded_channel();
        let index = Arc::new(Mutex::new(shelf));
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
                () = sleep(LOOK) => None,
            };
            self.change_index(move |shelf| match &failure {
                Some(failure) => shelf.roll_back(failure),
                None => shelf.rescan(),
            })
            .await;
        }
    }

    /// Changes the index on a thread that may block, and publishes the result.
    async fn change_index(&self, change: impl FnOnce(&mut CatalogIndex) -> bool + Send + 'static) {
        let shelf = Arc::clone(&self.index);
        let changed = spawn_blocking(move || {
            let mut shelf = shelf.lock();
            change(&mut shelf).then(|| shelf.programme())
        });
        // An error is a panic, which ends the process by itself.
        if let Ok(Some(programme)) = changed.await {
            self.published.send_replace(programme.into());
        }
    }
}
