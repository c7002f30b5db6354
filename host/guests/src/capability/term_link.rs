//! A term, as guests depend on it.

use std::{fmt, sync::Arc};

use tokio::sync::mpsc::UnboundedSender;

use super::TaskCaller;
use soloist_heart::LeaderKey;
use soloist_leadership::Gate;
use soloist_stores::StateStore;

/// Something a guest causes that concerns the whole term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TermNotice {
    /// A guest asks this host to give up the leadership.
    Resign {
        /// The guest's action.
        action: Arc<str>,
        /// Its reason, for the log.
        reason: String,
    },
    /// The store refused a write because the leader key of this term is gone: another host may
    /// lead.
    Fenced,
}

/// A term, as far as the guests that run under it are concerned.
#[derive(Clone)]
pub struct TermLink {
    /// The gate of the term.
    pub gate: Arc<Gate>,
    /// The key that the leadership was won with. It guards every write.
    pub key: LeaderKey,
    /// The store in which actions keep their state.
    pub state: Arc<dyn StateStore>,
    /// Takes the notices.
    pub notices: UnboundedSender<TermNotice>,
    /// Calls tasks on behalf of guests.
    pub task_caller: Option<Arc<dyn TaskCaller>>,
}

impl TermLink {
    /// Reports that the store has refused a write of `action`. Shuts the gate at once, so that
    /// nothing else of the term leaves the host while the notice is on its way.
    pub fn fenced(&self, action: &str) {
        self.gate.revoke();
        let term = self.gate.term();
        tracing::warn!(
            event = "fenced", action, group = %term.group, fencing_token = term.fencing_token.0,
            "the store refused a write: the leadership has passed to another host, or may have",
        );
        // Nobody receives it when the term is already ending.
        let _ = self.notices.send(TermNotice::Fenced);
    }
}

impl fmt::Debug for TermLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TermLink").field("gate", &self.gate).field("key", &self.key).finish()
    }
}
