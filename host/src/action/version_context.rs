//! What the runners of a version work with: its action, its tasks, its gate, and how they report.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};

use super::{
    access_log::RequestLine,
    action_failure::{ActionFailure, StartOutcome},
    action_status::ActionState,
    prepared_action::Action,
    response_abort::ResponseAbort,
    response_monitor::ResponseMonitor,
};
use crate::task_scope::TaskScope;
use soloist_guests::{
    capability::{ActionAccess, TermLink},
    plugin::Kind,
};
use soloist_heart::clock::BootTime;
use soloist_leadership::Gate;
use soloist_telemetry::{log_throttle::LogThrottle, measure};
use soloist_text::with_causes;

/// The error of a version that was stopped before it had started.
pub(super) const NEVER_UP: &str = "it was stopped before it had started";

/// Where a version reports how it is.
#[derive(Debug)]
pub(super) struct VersionReports {
    /// Receives the failure of an action that is given up.
    pub(super) failures: mpsc::UnboundedSender<ActionFailure>,
    /// Receives whether the version has started.
    pub(super) start_outcome: watch::Sender<StartOutcome>,
    /// When the term was won, if the version starts together with it.
    pub(super) won_at: Option<BootTime>,
}

/// What the runners of a version work with.
#[derive(Debug)]
pub(super) struct VersionContext {
    pub(super) action: Arc<Action>,
    term: TermLink,
    /// All tasks of the version.
    pub(super) tasks: TaskScope,
    /// The requests, which a drain waits for.
    pub(super) requests: TaskScope,
    pub(super) access: Arc<ActionAccess>,
    /// Whether another version takes its place.
    leaving: AtomicBool,
    /// The kinds as which it is not up yet.
    not_up_yet: Mutex<Vec<Kind>>,
    reports: VersionReports,
    /// Limits how often errors of requests are logged.
    request_errors: LogThrottle,
}

impl ResponseMonitor for VersionContext {
    fn gate(&self) -> &Gate {
        &self.term.gate
    }

    fn response_aborted(&self, request: &RequestLine, why: &ResponseAbort) {
        self.log_request_error(request, "the plugin broke off its answer", &with_causes(why));
    }
}

impl VersionContext {
    /// A context for a version that does nothing yet; `tasks` will own all that it does.
    pub(super) fn new(
        action: &Arc<Action>,
        term: &TermLink,
        tasks: TaskScope,
        reports: VersionReports,
    ) -> Self {
        let (requests, links) = (tasks.child(), tasks.child());
        let context = Self {
            action: Arc::clone(action),
            term: term.clone(),
            tasks,
            requests,
            access: action.access(term, links).into(),
            leaving: AtomicBool::new(false),
            // Hooks have been called before, and tasks belong to no term.
            not_up_yet: Mutex::new(action.kinds().iter().filter(|it| it.runs_all_term()).collect()),
            reports,
            request_errors: LogThrottle::default(),
        };
        context.set_state(ActionState::Starting);
        context
    }

    /// The term.
    pub(super) fn term(&self) -> &TermLink {
        &self.term
    }

    /// The gate of the term.
    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.term.gate
    }

    /// Whether nothing new may start: the term is ending, or the version is being replaced.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire) || self.gate().admit().is_err()
    }

    /// Nothing new starts from now on, and the guests are told so.
    pub(super) fn retire(&self) {
        self.leaving.store(true, Ordering::Release);
        self.access.retire();
    }

    /// Sets the state of the action, for the status and the log.
    pub(super) fn set_state(&self, state: ActionState) {
        self.action.live_status().lock().state = state;
        let (term, name) = (self.gate().term(), self.action.name());
        let (group, fencing_token) = (&term.group, term.fencing_token.0);
        let at = match self.action.status().listen {
            Some(listen) if state == ActionState::Running => {
                let scheme = if self.action.tls().is_some() { "https" } else { "http" };
                format!(" on {scheme}://{listen}{}", self.action.config().own_path())
            }
            _ => String::new(),
        };
        // The other states follow from the term or a failure, which are logged where they happen.
        if matches!(state, ActionState::Running | ActionState::Restarting) {
            info!(action = %name, %group, fencing_token, "action {name} is {}{at}", state.as_str());
        } else {
            debug!(action = %name, %group, fencing_token, "action {name} is {}", state.as_str());
        }
    }

    /// Notes that the action is up as `kind`, possibly again. When it is up as all its kinds for
    /// the first time, errors of earlier terms are forgotten.
    pub(super) fn mark_up(&self, kind: Kind) {
        let waits = {
            let mut not_up_yet = self.not_up_yet.lock();
            not_up_yet.retain(|other| *other != kind);
            !not_up_yet.is_empty()
        };
        if waits {
            return;
        }
        if self.reports.start_outcome.borrow().is_none() {
            self.action.live_status().lock().last_error = None;
            if let Some(won) = self.reports.won_at {
                measure::term_started(self.action.group().as_str(), BootTime::now().since(won));
            }
        }
        self.set_state(ActionState::Running);
        self.report_start(Ok(()));
    }

    /// Notes that the service is not started again. If the action answers requests as well, it goes
    /// on with that.
    pub(super) fn mark_not_restarted(&self, state: ActionState) {
        if !self.action.kinds().has(Kind::Http) {
            self.set_state(state);
        }
    }

    /// Reports whether the start succeeded. A version that is being replaced reports nothing: its
    /// successor reports through the same channel.
    pub(super) fn report_start(&self, outcome: Result<(), ActionFailure>) {
        self.reports.start_outcome.send_if_modified(|started| {
            let tells = !self.leaving.load(Ordering::Acquire);
            if tells {
                *started = Some(outcome);
            }
            tells
        });
    }

    /// Notes that the action is not up as `kind`, so that its start is not complete.
    pub(super) fn mark_not_up(&self, kind: Kind) {
        self.not_up_yet.lock().push(kind);
    }

    /// Waits until it is known whether the version has started; returns whether it has.
    pub(super) async fn started(&self) -> bool {
        let mut outcome = self.reports.start_outcome.subscribe();
        matches!(outcome.wait_for(Option::is_some).await.as_deref(), Ok(Some(Ok(()))))
    }

    /// Reports that the action will not come up any more.
    pub(super) fn report_never_up(&self) {
        self.report_start(Err(self.failure(NEVER_UP)));
    }

    /// Logs an error of a request, with a limit, since it may happen with every request.
    pub(super) fn log_request_error(&self, request: &dyn fmt::Display, what: &str, error: &str) {
        self.request_errors.report_text(&format!("{request} {what} {error}"), |told| {
            let term = self.gate().term();
            warn!(
                action = %self.action.name(), group = %term.group, fencing_token = term.fencing_token.0,
                request = %request, error, "{what}{told}",
            );
        });
        self.action.live_status().lock().last_error = Some(error.to_owned());
    }

    /// Logs an error and shows it in the status.
    pub(super) fn note_error(&self, what: &str, error: &str) {
        self.log_error(what, error);
        self.action.live_status().lock().last_error = Some(error.to_owned());
    }

    fn log_error(&self, what: &str, error: &str) {
        let term = self.gate().term();
        warn!(
            action = %self.action.name(), group = %term.group, fencing_token = term.fencing_token.0,
            error, "{what}",
        );
    }

    /// Gives the action up.
    pub(super) fn fail(&self, reason: &str) {
        self.give_up(self.failure(reason));
    }

    /// Gives the action up for a reason that may go away by itself.
    pub(super) fn fail_transiently(&self, reason: &str) {
        self.give_up(ActionFailure { may_pass: true, ..self.failure(reason) });
    }

    fn give_up(&self, failure: ActionFailure) {
        let reason = &*failure.reason;
        self.note_error("action is given up", reason);
        self.set_state(ActionState::Failed);
        self.report_start(Err(failure.clone()));
        self.send(failure);
    }

    /// Reports that the version was given up before it got any work.
    pub(super) fn report_rejected(&self, reason: &str) {
        self.send(self.failure(reason));
    }

    fn send(&self, failure: ActionFailure) {
        // If the receiver is gone, the term is ending already.
        let _ = self.reports.failures.send(failure);
    }

    fn failure(&self, reason: &str) -> ActionFailure {
        ActionFailure {
            action: Arc::clone(&self.action),
            reason: reason.to_owned(),
            may_pass: false,
        }
    }
}
