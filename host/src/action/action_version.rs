//! One version of an action under a term: what it works with, and how it ends.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tracing::{debug, info, warn};

use super::{
    Action, ActionDirectory, ActionState, JobServices, TaskScope,
    access_log::RequestLine,
    action_server::ActionServer,
    address_listener::{ListenerState, ListenerWatch},
    job::JobHandle,
    limits::GOOD_RUN,
    response_body::{ResponseAbort, ResponseMonitor},
    service::{self, ServiceHandle},
};
use soloist_guests::{
    capability::{ActionAccess, TermLink},
    plugin::Kind,
};
use soloist_heart::clock::BootTime;
use soloist_leadership::Gate;
use soloist_telemetry::{log_throttle::LogThrottle, measure};
use soloist_text::with_causes;

/// What actions get from their term.
#[derive(Clone, Debug)]
pub struct TermServices {
    /// The term.
    pub term: TermLink,
    /// Owns all tasks of the actions.
    pub tasks: TaskScope,
    /// Where actions that were given up are reported.
    pub failures: mpsc::UnboundedSender<ActionFailure>,
    /// Where the actions can be found by those who have requests for them.
    pub directory: ActionDirectory,
    /// What all jobs share.
    pub jobs: JobServices,
    /// How long a replaced version may take to finish what it has started.
    pub drain: Duration,
}

/// An action was given up. The leader then hands over, unless it can go back to an earlier version
/// of the action.
#[derive(Clone, Debug, thiserror::Error)]
#[error("action {} failed: {reason}", action.name())]
pub struct ActionFailure {
    /// The action that failed.
    pub action: Arc<Action>,
    /// What happened, and what to do about it.
    pub reason: String,
    /// Whether the cause lies outside the action and may go away by itself, such as an address that
    /// is in use.
    pub may_pass: bool,
}

const NEVER_UP: &str = "it was stopped before it was up";

/// Whether an action has started: `None` while that is not known.
pub(super) type StartOutcome = Option<Result<(), ActionFailure>>;

/// A version of an action under a term. Dropping it cancels the tasks that [`ActionVersion::stop`]
/// waits for.
pub(super) struct ActionVersion {
    context: Arc<VersionContext>,
    server: Option<Arc<ActionServer>>,
    service: Option<(TaskScope, ServiceHandle)>,
    job: Option<JobHandle>,
}

impl ActionVersion {
    /// A version that does nothing yet.
    ///
    /// `won` is given if the version starts together with its term: the time when the term was won.
    pub(super) fn new(
        action: &Arc<Action>,
        scope: &TermServices,
        up: watch::Sender<StartOutcome>,
        won: Option<BootTime>,
    ) -> Self {
        action.live_status().begin_run();
        let tasks = scope.tasks.child();
        let (work, links) = (tasks.child(), tasks.child());
        let access = action.access(&scope.term, links).into();
        let context = Arc::new(VersionContext {
            action: Arc::clone(action),
            requests: work,
            access,
            services: TermServices { tasks, ..scope.clone() },
            leaving: AtomicBool::new(false),
            // Hooks have been called before, and tasks belong to no term.
            not_up_yet: Mutex::new(action.kinds().iter().filter(|it| it.runs_all_term()).collect()),
            start_outcome: up,
            won_at: won,
            request_errors: LogThrottle::default(),
        });
        context.set_state(ActionState::Starting);
        let entry = action.plugin().entry_points().http.clone();
        let server = entry.map(|entry| ActionServer::new(Arc::clone(&context), entry).into());
        Self { context, server, service: None, job: None }
    }

    /// The action, in this version.
    pub(super) fn action(&self) -> &Arc<Action> {
        &self.context.action
    }

    /// The server that answers its requests, if it answers any.
    pub(super) fn server(&self) -> Option<&Arc<ActionServer>> {
        self.server.as_ref()
    }

    /// Tests what can be tested before the version gets any work.
    pub(super) async fn try_start(&self) -> Result<(), String> {
        let Some(server) = self.server.clone() else { return Ok(()) };
        let attempt = self.context.requests.spawn(async move { server.try_instantiate().await });
        match attempt.await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Err(NEVER_UP.to_owned()),
            Err(panic) => Err(panic.to_string()),
        }
    }

    /// Gives the version up before it got any work.
    pub(super) async fn reject(self, reason: String) {
        // If the receiver is gone, the term is ending already.
        let _ = self.context.services.failures.send(self.context.failure(&reason));
        self.stop().await;
    }

    /// Starts the version. It counts as up once its address is open and its service runs.
    pub(super) fn start(&mut self, door: Option<ListenerWatch>) {
        let run = Arc::clone(&self.context);
        self.watch_listener(door);
        if let Some(entry) = run.action.plugin().entry_points().service.clone() {
            match &run.action.config().job {
                Some(job) => self.job = Some(JobHandle::start(Arc::clone(&run), entry, job)),
                None => {
                    let tasks = run.services.tasks.child();
                    let current = service::start_service(Arc::clone(&run), entry, &tasks);
                    self.service = Some((tasks, current));
                }
            }
        }
        if !run.action.kinds().run_all_term() {
            run.set_state(ActionState::Done);
            run.report_start(Ok(()));
        } else if run.action.on_trial() {
            self.context.services.tasks.spawn(end_trial_when_stable(run));
        }
    }

    /// Follows another listener, through which its requests come from now on.
    pub(super) fn follow_listener(&self, door: Option<ListenerWatch>) {
        self.context.not_up_yet().extend(door.iter().map(|_| Kind::Http));
        self.watch_listener(door);
    }

    fn watch_listener(&self, door: Option<ListenerWatch>) {
        if let Some(door) = door.filter(|_| self.server.is_some()) {
            self.context.services.tasks.spawn(follow_address(door, Arc::clone(&self.context)));
        }
    }

    /// Ends the service so that another version can start: the guest is notified, and waited for up
    /// to `patience` if it has subscribed to the end of its term. A job gets the same time for the
    /// firings that have started.
    pub(super) async fn end_background(&mut self, patience: Duration) {
        self.context.retire();
        if let Some((tasks, mut current)) = self.service.take() {
            // A service that takes longer is stopped.
            let _ = timeout(patience, current.wait_for_end()).await;
            tasks.stop().await;
        }
        if let Some(job) = self.job.take() {
            job.end(patience).await;
        }
    }

    /// Ends gracefully: resolves when everything in flight is finished. The caller stops new work
    /// from coming in, and limits the time.
    ///
    /// A service is waited for if it has subscribed to the end of its term; otherwise it runs on
    /// until it is stopped.
    pub(super) async fn drain(&mut self) {
        self.context.set_state(ActionState::Draining);
        if let Some(server) = &self.server {
            server.close();
        }
        self.context.requests.join().await;
        if let Some(job) = &self.job {
            job.finish().await;
        }
        if let Some((_, current)) = &mut self.service {
            current.wait_for_end().await;
        }
    }

    /// Ends at once: guests are interrupted and stores dropped. When this resolves, nothing of this
    /// version is alive.
    pub(super) async fn stop(self) {
        // Cancelled tasks are dropped without being polled again, so a thousand busy guests do not
        // each get one more turn.
        self.context.services.tasks.stop().await;
        self.context.action.live_status().end_run();
    }
}

impl Drop for ActionVersion {
    fn drop(&mut self) {
        self.context.services.tasks.cancel();
    }
}

/// Follows the listener until it is open or has failed.
async fn follow_address(mut door: ListenerWatch, run: Arc<VersionContext>) {
    loop {
        let opening = door.borrow_and_update().clone();
        match opening {
            ListenerState::Starting => {}
            ListenerState::Waiting(why) => run.note_error("waiting for the address", &why),
            ListenerState::Open(bound) => {
                run.action.live_status().lock().listen = Some(bound);
                return run.mark_up(Kind::Http);
            }
            ListenerState::Failed(reason) => return run.fail_transiently(&reason),
        }
        if door.changed().await.is_err() {
            return run.report_never_up();
        }
    }
}

/// Ends the trial of a version that has started and stays up.
async fn end_trial_when_stable(run: Arc<VersionContext>) {
    let mut started = run.start_outcome.subscribe();
    if !matches!(started.wait_for(Option::is_some).await.as_deref(), Ok(Some(Ok(())))) {
        return;
    }
    if run.action.kinds().has(Kind::Service) {
        sleep(GOOD_RUN).await;
    }
    run.action.end_trial();
}

/// What the runners of a version work with.
#[derive(Debug)]
pub(super) struct VersionContext {
    pub(super) action: Arc<Action>,
    pub(super) services: TermServices,
    /// The requests, which a drain waits for.
    pub(super) requests: TaskScope,
    pub(super) access: Arc<ActionAccess>,
    /// Whether another version takes its place.
    leaving: AtomicBool,
    /// The kinds as which it is not up yet.
    not_up_yet: Mutex<Vec<Kind>>,
    start_outcome: watch::Sender<StartOutcome>,
    won_at: Option<BootTime>,
    /// Limits how often errors of requests are logged.
    request_errors: LogThrottle,
}

impl ResponseMonitor for VersionContext {
    fn gate(&self) -> &Gate {
        &self.services.term.gate
    }

    fn response_aborted(&self, asked: &RequestLine, why: &ResponseAbort) {
        self.log_request_error(asked, "the plugin broke off its answer", &with_causes(why));
    }
}

impl VersionContext {
    /// The gate of the term.
    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.services.term.gate
    }

    /// Whether nothing new may start: the term is ending, or the version is being replaced.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire) || self.gate().admit().is_err()
    }

    fn retire(&self) {
        self.leaving.store(true, Ordering::Release);
        self.access.retire();
    }

    /// Sets the state of the action, for the status and the log.
    pub(super) fn set_state(&self, state: ActionState) {
        self.action.live_status().lock().state = state;
        let (term, name) = (self.gate().term(), self.action.name());
        let (group, token) = (&term.group, term.token.0);
        let at = match self.action.status().listen {
            Some(listen) if state == ActionState::Running => {
                let scheme = if self.action.tls().is_some() { "https" } else { "http" };
                format!(" on {scheme}://{listen}{}", self.action.config().own_path())
            }
            _ => String::new(),
        };
        // The other states follow from the term or a failure, which are logged where they happen.
        if matches!(state, ActionState::Running | ActionState::Restarting) {
            info!(action = %name, %group, token, "action {name} is {}{at}", state.as_str());
        } else {
            debug!(action = %name, %group, token, "action {name} is {}", state.as_str());
        }
    }

    /// Notes that the action is up as `kind`, possibly again. When it is up as all its kinds for
    /// the first time, errors of earlier terms are forgotten.
    pub(super) fn mark_up(&self, kind: Kind) {
        let waits = {
            let mut missing = self.not_up_yet();
            missing.retain(|other| *other != kind);
            !missing.is_empty()
        };
        if waits {
            return;
        }
        if self.start_outcome.borrow().is_none() {
            self.action.live_status().lock().last_error = None;
            if let Some(won) = self.won_at {
                measure::taken_over(self.action.group().as_str(), BootTime::now().since(won));
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
    fn report_start(&self, outcome: Result<(), ActionFailure>) {
        self.start_outcome.send_if_modified(|started| {
            let tells = !self.leaving.load(Ordering::Acquire);
            if tells {
                *started = Some(outcome);
            }
            tells
        });
    }

    fn not_up_yet(&self) -> MutexGuard<'_, Vec<Kind>> {
        self.not_up_yet.lock()
    }

    /// Reports that the action will not come up any more.
    fn report_never_up(&self) {
        self.report_start(Err(self.failure(NEVER_UP)));
    }

    /// Logs an error of a request, with a limit, since it may happen with every request.
    pub(super) fn log_request_error(&self, asked: &dyn fmt::Display, what: &str, error: &str) {
        self.request_errors.said(&format!("{asked} {what} {error}"), |told| {
            let term = self.gate().term();
            warn!(
                action = %self.action.name(), group = %term.group, token = term.token.0,
                request = %asked, error, "{what}{told}",
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
            action = %self.action.name(), group = %term.group, token = term.token.0,
            error, "{what}",
        );
    }

    /// Gives the action up.
    pub(super) fn fail(&self, reason: &str) {
        self.give_up(self.failure(reason));
    }

    /// Gives the action up for a reason that may go away by itself.
    fn fail_transiently(&self, reason: &str) {
        self.give_up(ActionFailure { may_pass: true, ..self.failure(reason) });
    }

    fn give_up(&self, failure: ActionFailure) {
        let reason = &*failure.reason;
        self.note_error("action is given up", reason);
        self.set_state(ActionState::Failed);
        self.report_start(Err(failure.clone()));
        // If the receiver is gone, the term is ending already.
        let _ = self.services.failures.send(failure);
    }

    fn failure(&self, reason: &str) -> ActionFailure {
        ActionFailure {
            action: Arc::clone(&self.action),
            reason: reason.to_owned(),
            may_pass: false,
        }
    }
}
