//! An action that was started: what it gets of its term, and how it ends.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{Action, State, Tasks, service::Current};
use crate::capability::{Access, Gate, TermLink};

/// What an action gets of its term.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The term.
    pub term: TermLink,
    /// The tasks of this action alone.
    pub tasks: Tasks,
    /// Where it reports that it was given up.
    pub failures: mpsc::UnboundedSender<Failure>,
}

/// An action was given up. A leader that learns of it hands over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("action {action} failed: {reason}")]
pub struct Failure {
    /// The action.
    pub action: Arc<str>,
    /// What happened, and what to do about it.
    pub reason: String,
}

const NEVER_UP: &str = "it was stopped before it was up";

/// Whether the action is up: nothing is known yet, or the outcome.
type Started = Option<Result<(), Failure>>;

/// An action under a term. Dropping it cancels what [`Running::stop`] awaits.
#[derive(Debug)]
pub struct Running {
    run: Arc<Run>,
    started: watch::Receiver<Started>,
    way: Way,
}

impl Running {
    /// Starts with `runner`, which says where requests come in, if any do.
    pub(super) fn start(
        action: Arc<Action>,
        scope: Scope,
        runner: impl FnOnce(Arc<Run>) -> Way,
    ) -> Self {
        action.board().begin_term();
        let (up, started) = watch::channel(None);
        let (work, links) = (scope.tasks.child(), scope.tasks.child());
        let access = action.access(&scope.term, links).into();
        let run = Arc::new(Run { action, scope, work, access, up });
        run.enter(State::Starting);
        let way = runner(run.clone());
        Self { run, started, way }
    }

    /// Waits until the action is up: it listens, or its first instance runs.
    ///
    /// # Errors
    /// When it was given up, or stopped, before that.
    pub async fn started(&mut self) -> Result<(), Failure> {
        let told = async {
            let up = self.started.wait_for(Option::is_some).await;
            up.ok().and_then(|up| up.clone())
        };
        let outcome = tokio::select! {
            outcome = told => outcome,
            () = self.run.scope.tasks.cancelled() => None,
        };
        outcome.unwrap_or_else(|| Err(self.run.failure(NEVER_UP)))
    }

    /// Ends gracefully: the address is let go at once, idle connections are
    /// closed, and this resolves when everything in flight is finished. The
    /// caller drains the gate before, and bounds the time.
    ///
    /// A service is waited for if it has asked to be told of the end; any other
    /// runs on until it is stopped.
    pub async fn drain(&mut self) {
        self.run.enter(State::Draining);
        match &mut self.way {
            Way::Http(doors) => {
                doors.close().await;
                self.run.work.join().await;
            }
            Way::Service(current) => current.leave().await,
        }
    }

    /// Ends at once: the address is let go, guests are interrupted, connections
    /// cut and stores dropped. When this resolves, nothing of the action is
    /// alive. The caller closes the gate before.
    pub async fn stop(self) {
        let _hurry = self.run.action.engine().hurry();
        // The listener is with a task as well. None is run any more, only dropped,
        // so a thousand busy guests do not each get one more turn.
        self.run.scope.tasks.stop().await;
        self.run.enter(State::Ready);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.run.scope.tasks.cancel();
    }
}

/// How an action ends, by its kind.
#[derive(Debug)]
pub(super) enum Way {
    /// Its address is let go, and its requests finish.
    Http(Doors),
    /// The instance that runs is told.
    Service(Current),
}

/// The address of an action: asked to be let go, and let go.
#[derive(Clone, Debug, Default)]
pub(super) struct Doors {
    pub(super) closing: CancellationToken,
    pub(super) closed: CancellationToken,
}

impl Doors {
    /// Lets go of the address, and waits until that is done.
    async fn close(&self) {
        self.closing.cancel();
        self.closed.cancelled().await;
    }
}

/// What a runner works with.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) action: Arc<Action>,
    pub(super) scope: Scope,
    /// The tasks that a drain waits for; the others are connections that are
    /// kept open.
    pub(super) work: Tasks,
    pub(super) access: Arc<Access>,
    up: watch::Sender<Started>,
}

impl Run {
    /// The gate of the term.
    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.scope.term.gate
    }

    /// Notes what the action is doing, for the status and the log.
    pub(super) fn enter(&self, state: State) {
        self.action.board().lock().state = state;
        let (term, name) = (self.gate().term(), self.action.name());
        let (group, token) = (&term.group, term.token.0);
        // The other steps are those of the term, or a failure, and told there.
        if matches!(state, State::Running | State::Restarting) {
            info!(action = %name, %group, token, "action {name} is {}", state.as_str());
        } else {
            debug!(action = %name, %group, token, "action {name} is {}", state.as_str());
        }
    }

    /// Notes that the action is up, be it again. The first time, what went wrong
    /// in earlier terms is over.
    pub(super) fn up(&self) {
        if self.up.borrow().is_none() {
            self.action.board().lock().last_error = None;
        }
        self.enter(State::Running);
        self.up.send_replace(Some(Ok(())));
    }

    /// Notes that the action will not be up any more.
    pub(super) fn never_up(&self) {
        self.up.send_replace(Some(Err(self.failure(NEVER_UP))));
    }

    /// Notes something that went wrong.
    pub(super) fn trouble(&self, what: &str, error: &str) {
        let term = self.gate().term();
        warn!(
            action = %self.action.name(), group = %term.group, token = term.token.0,
            error, "{what}",
        );
        self.action.board().lock().last_error = Some(error.to_owned());
    }

    /// Gives up.
    pub(super) fn fail(&self, reason: &str) {
        let failure = self.failure(reason);
        self.trouble("action is given up", reason);
        self.enter(State::Failed);
        self.up.send_replace(Some(Err(failure.clone())));
        // A term that no longer listens is ending already.
        let _ = self.scope.failures.send(failure);
    }

    fn failure(&self, reason: &str) -> Failure {
        Failure { action: self.action.name().clone(), reason: reason.to_owned() }
    }
}
