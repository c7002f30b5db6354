//! How an action is, for `GET /v1/status`.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{election::Group, plugin::Kind};

/// What an action is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It can be started; this host does not lead its group.
    #[default]
    Ready,
    /// It was started, and does not answer yet.
    Starting,
    /// It runs.
    Running,
    /// It ended, and will be started again.
    Restarting,
    /// It was given up; its host hands over.
    Failed,
    /// It finishes what was begun.
    Draining,
}

impl State {
    /// As it is shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
            Self::Draining => "draining",
        }
    }
}

/// An action at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: Kind,
    /// The group that it belongs to.
    pub group: Group,
    /// What it is doing.
    pub state: State,
    /// The name of the plugin's file.
    pub plugin: String,
    /// The SHA-256 of the plugin's file.
    pub sha256: Arc<str>,
    /// How often it was started again, because it had ended, in its latest term.
    pub restarts: u64,
    /// Where it answers, or would.
    pub listen: Option<SocketAddr>,
    /// What went wrong last, until a later term is up.
    pub last_error: Option<String>,
}

/// The part of the status that changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) state: State,
    pub(super) restarts: u64,
    pub(super) listen: Option<SocketAddr>,
    pub(super) last_error: Option<String>,
}

/// A [`Progress`] that outlives terms, and that several tasks write to.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<Progress>);

impl Board {
    /// Forgets what was true of the latest term alone.
    pub(super) fn begin_term(&self) {
        let mut progress = self.lock();
        (progress.restarts, progress.listen) = (0, None);
    }

    /// To read or write; not to be held across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
