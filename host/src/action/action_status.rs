//! How an action is, for `GET /v1/status`.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::{Mutex, MutexGuard};

use soloist_guests::plugin::Kinds;
use soloist_heart::Group;

/// What an action is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActionState {
    /// It can be started; this host does not lead its group.
    #[default]
    Ready,
    /// It was started, and does not answer yet.
    Starting,
    /// It runs.
    Running,
    /// It ended, and will be started again.
    Restarting,
    /// It ended well, and is not started again within the term.
    Done,
    /// It was given up; or it is not to be started again.
    Failed,
    /// It finishes what was begun.
    Draining,
    /// It failed on every host that could run it: the leader goes on without it.
    Parked,
}

impl ActionState {
    /// Whether it does what it should.
    #[must_use]
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Done)
    }

    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Draining => "draining",
            Self::Parked => "parked",
        }
    }
}

/// An action at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Its kinds.
    pub kinds: Kinds,
    /// The group that it belongs to.
    pub group: Group,
    /// What it is doing.
    pub state: ActionState,
    /// The name of the plugin's file.
    pub plugin: String,
    /// The SHA-256 of the plugin's file.
    pub sha256: Arc<str>,
    /// How often it was started again, because it had ended, in its latest term.
    pub restarts: u64,
    /// Where it answers, or would.
    pub listen: Option<SocketAddr>,
    /// What went wrong last, until a later term is up; or why a newer version of the
    /// plugin is not taken, until it is changed.
    pub last_error: Option<String>,
    /// Why none of its firings can begin here, as a job that runs here.
    pub job_trouble: Option<String>,
}

/// The part of the status that changes.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveStatus {
    pub(super) state: ActionState,
    pub(super) restarts: u64,
    pub(super) listen: Option<SocketAddr>,
    pub(super) last_error: Option<String>,
    pub(super) job_trouble: Option<String>,
    /// Why a newer version is not taken.
    pub(super) refused: Option<String>,
    /// How many versions of it run: more than one, where it comes back while it still ends.
    runs: usize,
}

/// A [`Progress`] that outlives terms, and that several tasks write to.
#[derive(Debug, Default)]
pub(super) struct LiveStatusCell(Mutex<LiveStatus>);

impl LiveStatusCell {
    /// Forgets what was true of the latest run alone.
    pub(super) fn begin_run(&self) {
        let mut progress = self.lock();
        (progress.restarts, progress.listen, progress.job_trouble) = (0, None, None);
        progress.runs += 1;
    }

    /// Nothing of a run is left.
    pub(super) fn end_run(&self) {
        let mut progress = self.lock();
        progress.runs = progress.runs.saturating_sub(1);
        if progress.runs == 0 {
            (progress.state, progress.job_trouble) = (ActionState::Ready, None);
        }
    }

    /// Takes down what keeps the firings of a job from beginning, or that nothing does.
    pub(super) fn set_job_trouble(&self, trouble: Option<&str>) {
        let mut progress = self.lock();
        let trouble = trouble.map(str::to_owned);
        (progress.job_trouble, progress.last_error) = (trouble.clone(), trouble);
    }

    /// To read or write; not to be held across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, LiveStatus> {
        self.0.lock()
    }
}
