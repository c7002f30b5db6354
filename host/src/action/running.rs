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
    Action, Jobs, Lobby, State, Tasks,
    asked::Asked,
    body::{Cut, Overseer},
    door::{Opened, Opening},
    job::Job,
    limits::GOOD_RUN,
    request::Server,
    service::{self, Current},
};
use soloist_guests::{
    capability::{Access, TermLink},
    plugin::Kind,
};
use soloist_heart::clock::BootTime;
use soloist_leadership::Gate;
use soloist_telemetry::{measure, repeats::Repeats};
use soloist_text::with_causes;

/// What actions get of their term.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The term.
    pub term: TermLink,
    /// Their tasks.
    pub tasks: Tasks,
    /// Where it is reported that one was given up.
    pub failures: mpsc::UnboundedSender<Failure>,
    /// Where those find them who have requests.
    pub lobby: Lobby,
    /// What jobs share.
    pub jobs: Jobs,
    /// How long a version that was replaced has for what it has begun.
    pub drain: Duration,
}

/// An action was given up. A leader that learns of it hands over, unless it can go
/// back to an earlier version.
#[derive(Clone, Debug, thiserror::Error)]
#[error("action {} failed: {reason}", action.name())]
pub struct Failure {
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
pub(super) type Started = Option<Result<(), Failure>>;

/// A version of an action under a term. Dropping it cancels what [`Running::stop`] awaits.
pub(super) struct Running {
    run: Arc<Run>,
    server: Option<Arc<Server>>,
    service: Option<(Tasks, Current)>,
    job: Option<Job>,
}

impl Running {
    /// A version that does not do anything yet.
    ///
    /// With `won`, it begins with its term, which was won then.
    pub(super) fn new(
        action: &Arc<Action>,
        scope: &Scope,
        up: watch::Sender<Started>,
        won: Option<BootTime>,
    ) -> Self {
        action.board().begin_run();
        let tasks = scope.tasks.child();
        let (work, links) = (tasks.child(), tasks.child());
        let access = action.access(&scope.term, links).into();
        let run = Arc::new(Run {
            action: Arc::clone(action),
            work,
            access,
            scope: Scope { tasks, ..scope.clone() },
            leaving: AtomicBool::new(false),
            // Hooks were called before, and tasks are no part of a term.
            missing: Mutex::new(action.kinds().iter().filter(|it| it.stays()).collect()),
            up,
            won,
            in_requests: Repeats::default(),
        });
        run.enter(State::Starting);
        let entry = action.plugin().entries().http.clone();
        let server = entry.map(|entry| Server::new(Arc::clone(&run), entry).into());
        Self { run, server, service: None, job: None }
    }

    /// The action, in this version.
    pub(super) fn action(&self) -> &Arc<Action> {
        &self.run.action
    }

    /// Who answers its requests, if it does.
    pub(super) fn server(&self) -> Option<&Arc<Server>> {
        self.server.as_ref()
    }

    /// Tries what can be tried before anything is handed over to it.
    pub(super) async fn rehearse(&self) -> Result<(), String> {
        let Some(server) = self.server.clone() else { return Ok(()) };
        let attempt = self.run.work.spawn(async move { server.rehearse().await });
        match attempt.await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Err(NEVER_UP.to_owned()),
            Err(panic) => Err(panic.to_string()),
        }
    }

    /// Gives this version up before anything was handed over to it.
    pub(super) async fn refuse(self, reason: String) {
        // A term that no longer listens is ending already.
        let _ = self.run.scope.failures.send(self.run.failure(&reason));
        self.stop().await;
    }

    /// Is up once its address is open, and its service runs.
    pub(super) fn go(&mut self, door: Option<Opened>) {
        let run = Arc::clone(&self.run);
        self.watch(door);
        if let Some(entry) = run.action.plugin().entries().service.clone() {
            match &run.action.config().job {
                Some(job) => self.job = Some(Job::start(Arc::clone(&run), entry, job)),
                None => {
                    let tasks = run.scope.tasks.child();
                    let current = service::start(Arc::clone(&run), entry, &tasks);
                    self.service = Some((tasks, current));
                }
            }
        }
        if !run.action.kinds().stays() {
            run.enter(State::Done);
            run.tell(Ok(()));
        } else if run.action.on_trial() {
            self.run.scope.tasks.spawn(prove(run));
        }
    }

    /// Follows the opening of another address, where its requests come in from now on.
    pub(super) fn move_to(&self, door: Option<Opened>) {
        self.run.missing().extend(door.iter().map(|_| Kind::Http));
        self.watch(door);
    }

    fn watch(&self, door: Option<Opened>) {
        if let Some(door) = door.filter(|_| self.server.is_some()) {
            self.run.scope.tasks.spawn(wait_for(door, Arc::clone(&self.run)));
        }
    }

    /// Ends the service, so that another version of it can begin: it is told, and
    /// waited for as long as `patience` goes if it has asked to be told. So is a job,
    /// for what it has begun.
    pub(super) async fn end_service(&mut self, patience: Duration) {
        self.run.leave();
        if let Some((tasks, mut current)) = self.service.take() {
            // If that was not enough for it, it is stopped all the same.
            let _ = timeout(patience, current.leave()).await;
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
        self.run.enter(State::Draining);
        if let Some(server) = &self.server {
            server.close();
        }
        self.run.work.join().await;
        if let Some(job) = &self.job {
            job.finish().await;
        }
        if let Some((_, current)) = &mut self.service {
            current.leave().await;
        }
    }

    /// Ends at once: guests are interrupted and stores dropped. When this resolves,
    /// nothing of this version is alive.
    pub(super) async fn stop(self) {
        // None is run any more, only dropped, so a thousand busy guests do not each get
        // one more turn.
        self.run.scope.tasks.stop().await;
        self.run.action.board().end_run();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.run.scope.tasks.cancel();
    }
}

/// Follows the opening of the address to its end.
async fn wait_for(mut door: Opened, run: Arc<Run>) {
    loop {
        let opening = door.borrow_and_update().clone();
        match opening {
            Opening::Begun => {}
            Opening::Waiting(why) => run.trouble("waiting for the address", &why),
            Opening::Open(bound) => {
                run.action.board().lock().listen = Some(bound);
                return run.up(Kind::Http);
            }
            Opening::Failed(reason) => return run.fail_for_now(&reason),
        }
        if door.changed().await.is_err() {
            return run.never_up();
        }
    }
}

/// Ends the trial of a version that has come up, and stays up.
async fn prove(run: Arc<Run>) {
    let mut started = run.up.subscribe();
    if !matches!(started.wait_for(Option::is_some).await.as_deref(), Ok(Some(Ok(())))) {
        return;
    }
    if run.action.kinds().has(Kind::Service) {
        sleep(GOOD_RUN).await;
    }
    run.action.prove();
}

/// What a runner works with.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) action: Arc<Action>,
    pub(super) scope: Scope,
    /// The requests, which a drain waits for.
    pub(super) work: Tasks,
    pub(super) access: Arc<Access>,
    /// Whether another version takes its place.
    leaving: AtomicBool,
    /// What is not up yet.
    missing: Mutex<Vec<Kind>>,
    up: watch::Sender<Started>,
    won: Option<BootTime>,
    /// What goes wrong in its requests.
    in_requests: Repeats,
}

impl Overseer for Run {
    fn gate(&self) -> &Gate {
        &self.scope.term.gate
    }

    fn broke_off(&self, asked: &Asked, why: &Cut) {
        self.request_trouble(asked, "the plugin broke off its answer", &with_causes(why));
    }
}

impl Run {
    /// The gate of the term.
    pub(super) fn gate(&self) -> &Arc<Gate> {
        &self.scope.term.gate
    }

    /// Whether nothing new is to begin: the term is ending, or this version goes.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire) || self.gate().admit().is_err()
    }

    fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        self.access.retire();
    }

    /// Notes what the action is doing, for the status and the log.
    pub(super) fn enter(&self, state: State) {
        self.action.board().lock().state = state;
        let (term, name) = (self.gate().term(), self.action.name());
        let (group, token) = (&term.group, term.token.0);
        let at = match self.action.status().listen {
            Some(listen) if state == State::Running => {
                let scheme = if self.action.tls().is_some() { "https" } else { "http" };
                format!(" on {scheme}://{listen}{}", self.action.config().sure_path())
            }
            _ => String::new(),
        };
        // The other steps are those of the term, or a failure, and told there.
        if matches!(state, State::Running | State::Restarting) {
            info!(action = %name, %group, token, "action {name} is {}{at}", state.as_str());
        } else {
            debug!(action = %name, %group, token, "action {name} is {}", state.as_str());
        }
    }

    /// Notes that the action is up as `kind`, be it again. The first time that it is up
    /// as all its kinds, what went wrong in earlier terms is over.
    pub(super) fn up(&self, kind: Kind) {
        let waits = {
            let mut missing = self.missing();
            missing.retain(|other| *other != kind);
            !missing.is_empty()
        };
        if waits {
            return;
        }
        if self.up.borrow().is_none() {
            self.action.board().lock().last_error = None;
            if let Some(won) = self.won {
                measure::taken_over(self.action.group().as_str(), BootTime::now().since(won));
            }
        }
        self.enter(State::Running);
        self.tell(Ok(()));
    }

    /// Notes that its service is not started again. If the action answers requests
    /// as well, it goes on with that.
    pub(super) fn rest(&self, state: State) {
        if !self.action.kinds().has(Kind::Http) {
            self.enter(state);
        }
    }

    /// Tells how it has started, unless another version takes its place: that one has its
    /// own start to tell of, by the same way.
    fn tell(&self, outcome: Result<(), Failure>) {
        self.up.send_if_modified(|started| {
            let tells = !self.leaving.load(Ordering::Acquire);
            if tells {
                *started = Some(outcome);
            }
            tells
        });
    }

    fn missing(&self) -> MutexGuard<'_, Vec<Kind>> {
        self.missing.lock()
    }

    /// Notes that the action will not be up any more.
    fn never_up(&self) {
        self.tell(Err(self.failure(NEVER_UP)));
    }

    /// Notes something that went wrong with a request; it may go so with each.
    pub(super) fn request_trouble(&self, asked: &dyn fmt::Display, what: &str, error: &str) {
        self.in_requests.said(&format!("{asked} {what} {error}"), |told| {
            let term = self.gate().term();
            warn!(
                action = %self.action.name(), group = %term.group, token = term.token.0,
                request = %asked, error, "{what}{told}",
            );
        });
        self.action.board().lock().last_error = Some(error.to_owned());
    }

    /// Notes something that went wrong.
    pub(super) fn trouble(&self, what: &str, error: &str) {
        self.log_trouble(what, error);
        self.action.board().lock().last_error = Some(error.to_owned());
    }

    fn log_trouble(&self, what: &str, error: &str) {
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
    fn fail_for_now(&self, reason: &str) {
        self.give_up(Failure { may_pass: true, ..self.failure(reason) });
    }

    fn give_up(&self, failure: Failure) {
        let reason = &*failure.reason;
        self.trouble("action is given up", reason);
        self.enter(State::Failed);
        self.tell(Err(failure.clone()));
        // A term that no longer listens is ending already.
        let _ = self.scope.failures.send(failure);
    }

    fn failure(&self, reason: &str) -> Failure {
        Failure { action: Arc::clone(&self.action), reason: reason.to_owned(), may_pass: false }
    }
}
