//! The state of an action, as `GET /v1/status` shows it.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::{Mutex, MutexGuard};

use soloist_guests::plugin::Kinds;
use soloist_heart::Group;

/// What an action is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ActionState {
    /// It is prepared to start; this host does not lead its group.
    #[default]
    Standby,
    /// It was started and does not answer yet.
    Starting,
    /// It runs.
    Running,
    /// It ended and will be started again.
    Restarting,
    /// It ended well and is not started again in this term.
    Done,
    /// It was given up, or it failed and is not started again.
    Failed,
    /// It finishes the work that it has started.
    Draining,
    /// It failed on every host that could run it; the leader goes on without it.
    Parked,
}

impl ActionState {
    /// Whether the action is in the state that it should be in.
    #[must_use]
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Done)
    }

    /// The name of the state in the status and the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standby => "standby",
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

/// The state of an action at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionStatus {
    /// The name of the action.
    pub name: Arc<str>,
    /// The kinds that it runs as.
    pub kinds: Kinds,
    /// The group that it belongs to.
    pub group: Group,
    /// What it is doing.
    pub state: ActionState,
    /// The name of the plugin's file.
    pub plugin: String,
    /// The SHA-256 of the plugin's file.
    pub sha256: Arc<str>,
    /// How often it was restarted after it had ended, in its latest term.
    pub restarts: u64,
    /// The address on which it answers, or would answer.
    pub listen: Option<SocketAddr>,
    /// The latest error, until a later term has the action running; or why a newer version of the
    /// plugin was refused, until that changes.
    pub last_error: Option<String>,
    /// For a job that runs here: why none of its runs can start.
    pub job_trouble: Option<String>,
}

/// The part of the status that changes at run time.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveStatus {
    pub(super) state: ActionState,
    pub(super) restarts: u64,
    pub(super) listen: Option<SocketAddr>,
    pub(super) last_error: Option<String>,
    pub(super) job_trouble: Option<String>,
    /// Why a newer version was refused.
    pub(super) refused: Option<String>,
    /// How many runs of this version are alive: more than one if it is started again while an
    /// earlier run still ends.
    runs: usize,
}

/// A [`LiveStatus`] that outlives terms and that several tasks write to.
#[derive(Debug, Default)]
pub(super) struct LiveStatusCell(Mutex<LiveStatus>);

impl LiveStatusCell {
    /// Starts a run: forgets what was true of the latest run only.
    pub(super) fn begin_run(&self) {
        let mut progress = self.lock();
        (progress.restarts, progress.listen, progress.job_trouble) = (0, None, None);
        progress.runs += 1;
    }

    /// Ends a run: nothing of it is left.
    pub(super) fn end_run(&self) {
        let mut progress = self.lock();
        progress.runs = progress.runs.saturating_sub(1);
        if progress.runs == 0 {
            (progress.state, progress.job_trouble) = (ActionState::Standby, None);
        }
    }

    /// Sets why the runs of a job cannot start; `None` if they can.
    pub(super) fn set_job_trouble(&self, trouble: Option<&str>) {
        let mut progress = self.lock();
        let trouble = trouble.map(str::to_owned);
        (progress.job_trouble, progress.last_error) = (trouble.clone(), trouble);
    }

    /// Locks it to read or write. Do not hold this lock across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, LiveStatus> {
        self.0.lock()
    }
}
