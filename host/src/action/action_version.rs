//! One version of an action under a term: what it gets, and how it ends.

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

/// What actions get of their term.
#[derive(Clone, Debug)]
pub struct TermServices {
    /// The term.
    pub term: TermLink,
    /// Their tasks.
    pub tasks: TaskScope,
    /// Where it is reported that one was given up.
    pub failures: mpsc::UnboundedSender<ActionFailure>,
    /// Where those find them who have requests.
    pub directory: ActionDirectory,
    /// What jobs share.
    pub jobs: JobServices,
    /// How long a version that was replaced has for what it has begun.
    pub drain: Duration,
}

/// An action was given up. A leader that learns of it hands over, unless it can go
/// back to an earlier version.
#[derive(Clone, Debug, thiserror::Error)]
#[error("action {} failed: {reason}", action.name())]
pub struct ActionFailure {
    /// The action.
    pub action: Arc<Action>,
    /// What happened, and what to do about it.
    pub reason: String,
    /// Whether it is due to what lies outside of the action, and may pass: an address that is
    /// taken.
    pub may_pass: bool,
}

const NEVER_UP: &str = "it was stopped before it was up";

/// Whether an action is up: nothing is known yet, or the outcome.
pub(super) type StartOutcome = Option<Result<(), ActionFailure>>;

/// A version of an action under a term. Dropping it cancels what [`Running::stop`] awaits.
pub(super) struct ActionVersion {
    context: Arc<VersionContext>,
    server: Option<Arc<ActionServer>>,
    service: Option<(TaskScope, ServiceHandle)>,
    job: Option<JobHandle>,
}

impl ActionVersion {
    /// A version that does not do anything yet.
    ///
    /// With `won`, it begins with its term, which was won then.
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
            // Hooks were called before, and tasks are no part of a term.
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

    /// Who answers its requests, if it does.
    pub(super) fn server(&self) -> Option<&Arc<ActionServer>> {
        self.server.as_ref()
    }

    /// Tries what can be tried before anything is handed over to it.
    pub(super) async fn try_start(&self) -> Result<(), String> {
        let Some(server) = self.server.clone() else { return Ok(()) };
        let attempt = self.context.requests.spawn(async move { server.try_instantiate().await });
        match attempt.await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Err(NEVER_UP.to_owned()),
            Err(panic) => Err(panic.to_string()),
        }
    }

    /// Gives this version up before anything was handed over to it.
    pub(super) async fn reject(self, reason: String) {
        // A term that no longer listens is ending already.
        let _ = self.context.services.failures.send(self.context.failure(&reason));
        self.stop().await;
    }

    /// Is up once its address is open, and its service runs.
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

    /// Follows the opening of another address, where its requests come in from now on.
    pub(super) fn follow_listener(&self, door: Option<ListenerWatch>) {
        self.context.not_up_yet().extend(door.iter().map(|_| Kind::Http));
        self.watch_listener(door);
    }

    fn watch_listener(&self, door: Option<ListenerWatch>) {
        if let Some(door) = door.filter(|_| self.server.is_some()) {
            self.context.services.tasks.spawn(follow_address(door, Arc::clone(&self.context)));
        }
    }

    /// Ends the service, so that another version of it can begin: it is told, and
    /// waited for as long as `patience` goes if it has asked to be told. So is a job,
    /// for what it has begun.
    pub(super) async fn end_background(&mut self, patience: Duration) {
        self.context.retire();
        if let Some((tasks, mut current)) = self.service.take() {
            // If that was not enough for it, it is stopped all the same.
            let _ = timeout(patience, current.wait_for_end()).await;
            tasks.stop().await;
        }
        if let Some(job) = self.job.take() {
            job.end(patience).await;
        }
    }

    /// Ends gracefully: this resolves when everything in flight is finished. The caller
    /// lets nothing more come in, and bounds the time.
    ///
    /// A service is waited for if it has asked to be told of the end; any other runs on
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

    /// Ends at once: guests are interrupted and stores dropped. When this resolves,
    /// nothing of this version is alive.
    pub(super) async fn stop(self) {
        // None is run any more, only dropped, so a thousand busy guests do not each get
        // one more turn.
        self.context.services.tasks.stop().await;
        self.context.action.live_status().end_run();
    }
}

impl Drop for ActionVersion {
    fn drop(&mut self) {
        self.context.services.tasks.cancel();
    }
}

/// Follows the opening of the address to its end.
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

/// Ends the trial of a version that has come up, and stays up.
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

/// What a runner works with.
#[derive(Debug)]
pub(super) struct VersionContext {
    pub(super) action: Arc<Action>,
    pub(super) services: TermServices,
    /// The requests, which a drain waits for.
    pub(super) requests: TaskScope,
    pub(super) access: Arc<ActionAccess>,
    /// Whether another version takes its place.
    leaving: AtomicBool,
    /// What is not up yet.
    not_up_yet: Mutex<Vec<Kind>>,
    start_outcome: watch::Sender<StartOutcome>,
    won_at: Option<BootTime>,
    /// What goes wrong in its requests.
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

    /// Whether nothing new is to begin: the term is ending, or this version goes.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire) || self.gate().admit().is_err()
    }

    fn retire(&self) {
        self.leaving.store(true, Ordering::Release);
        self.access.retire();
    }

    /// Notes what the action is doing, for the status and the log.
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
        // The other steps are those of the term, or a failure, and told there.
        if matches!(state, ActionState::Running | ActionState::Restarting) {
            info!(action = %name, %group, token, "action {name} is {}{at}", state.as_str());
        } else {
            debug!(action = %name, %group, token, "action {name} is {}", state.as_str());
        }
    }

    /// Notes that the action is up as `kind`, be it again. The first time that it is up
    /// as all its kinds, what went wrong in earlier terms is over.
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

    /// Notes that its service is not started again. If the action answers requests
    /// as well, it goes on with that.
    pub(super) fn mark_not_restarted(&self, state: ActionState) {
        if !self.action.kinds().has(Kind::Http) {
            self.set_state(state);
        }
    }

    /// Tells how it has started, unless another version takes its place: that one has its
    /// own start to tell of, by the same way.
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

    /// Notes that the action will not be up any more.
    fn report_never_up(&self) {
        self.report_start(Err(self.failure(NEVER_UP)));
    }

    /// Notes something that went wrong with a request; it may go so with each.
    pub(super) fn log_request_error(&self, asked: &dyn fmt::Display, what: &str, error: &str) {
        self.request_errors.report_text(&format!("{asked} {what} {error}"), |told| {
            let term = self.gate().term();
            warn!(
                action = %self.action.name(), group = %term.group, token = term.token.0,
                request = %asked, error, "{what}{told}",
            );
        });
        self.action.live_status().lock().last_error = Some(error.to_owned());
    }

    /// Notes something that went wrong.
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

    /// Gives up.
    pub(super) fn fail(&self, reason: &str) {
        self.give_up(self.failure(reason));
    }

    /// The same, for a reason that may pass.
    fn fail_transiently(&self, reason: &str) {
        self.give_up(ActionFailure { may_pass: true, ..self.failure(reason) });
    }

    fn give_up(&self, failure: ActionFailure) {
        let reason = &*failure.reason;
        self.note_error("action is given up", reason);
        self.set_state(ActionState::Failed);
        self.report_start(Err(failure.clone()));
        // A term that no longer listens is ending already.
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
