//! What the guests of one action may reach, under one term or while their host stands by.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use futures::future::BoxFuture;
use hyper::rt::Executor;

use tokio::sync::{Mutex, mpsc::UnboundedSender, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use wasmtime_wasi_config::WasiConfigVariables;

use super::{
    BlockingPool, BlockingPools, LogBuffers, TaskCaller,
    action_log::ActionLog,
    http::{self, HttpClient},
    wasi_config,
};
use soloist_config::{Grants, Limits};
use soloist_heart::LeaderKey;
use soloist_leadership::Gate;
use soloist_resources::budget::Account;
use soloist_stores::StateStore;
use soloist_telemetry::{log_throttle::LogThrottle, measure::GuestMemoryGauge};

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
    pub calls: Option<Arc<dyn TaskCaller>>,
}

impl TermLink {
    /// Reports that the store has refused a write of `action`. Shuts the gate at once, so that
    /// nothing else of the term leaves the host while the notice is on its way.
    pub fn fenced(&self, action: &str) {
        self.gate.revoke();
        let term = self.gate.term();
        tracing::warn!(
            event = "fenced", action, group = %term.group, token = term.token.0,
            "the store refused a write: the leadership has passed to another host, or may have",
        );
        // Nobody receives it when the term is already ending.
        let _ = self.notices.send(TermNotice::Fenced);
    }
}

impl std::fmt::Debug for TermLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TermLink").field("gate", &self.gate).field("key", &self.key).finish()
    }
}

/// Spawns tokio tasks for an action. The action joins them when the term ends.
#[derive(Clone)]
pub struct Spawner(Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>);

impl Spawner {
    /// A spawner that passes each task to `spawn`.
    #[must_use]
    pub fn new(spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }

    /// Spawns `task`.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        (self.0)(Box::pin(task));
    }

    /// Spawns `work` and returns its result through the receiver. Dropping the guard cancels the
    /// work. The receiver fails if the term ends first.
    pub fn spawn_cancellable<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> (oneshot::Receiver<T>, DropGuard) {
        let ((tell, told), end) = (oneshot::channel(), CancellationToken::new());
        let ended = end.clone();
        self.spawn(async move {
            if let Some(done) = ended.run_until_cancelled_owned(work).await {
                // The receiver may have been dropped.
                let _ = tell.send(done);
            }
        });
        (told, end.drop_guard())
    }

    /// Runs `work` in a task of its own while a guest waits for the result. If the guest's own
    /// future ran it, the work would stop whenever the guest has to wait for the processor
    /// (`plugin/cpu_turns.rs`), while it may hold a lock, a slot or a connection that others need.
    ///
    /// Returns `None` if the term ends first.
    pub async fn run_in_task<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (told, _end) = self.spawn_cancellable(work);
        told.await.ok()
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawner {
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}

impl std::fmt::Debug for Spawner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spawner")
    }
}

/// What all instances of an action share under one term.
pub struct ActionAccess {
    /// The action's name.
    pub action: Arc<str>,
    /// What its settings grant.
    pub grants: Arc<Grants>,
    /// The gate that every effect passes.
    gate: Arc<Gate>,
    /// The term. `None` for a hook that runs while the host stands by.
    pub term: Option<TermLink>,
    /// Calls tasks on its behalf.
    task_caller: Option<Arc<dyn TaskCaller>>,
    /// The threads on which its instances block.
    pub(super) blocking: Arc<BlockingPool>,
    /// The account for the memory that the host holds for its instances.
    pub(super) account: Account,
    /// Runs its outgoing requests and connections.
    pub(super) spawner: Spawner,
    /// The variables that `wasi:config` shows.
    pub(super) settings: WasiConfigVariables,
    /// The most linear memory of one instance, in bytes.
    pub(super) memory_max: usize,
    /// The linear memory of all instances together, as a metric.
    pub(super) memory_of_all: GuestMemoryGauge,
    /// The log of all instances together.
    pub(super) log: Arc<ActionLog>,
    http: OnceLock<HttpClient>,
    /// Serialises increments, so that they do not conflict with each other.
    pub(super) increments: Mutex<()>,
    /// Whether the action has already asked to end the term.
    pub(super) resigning: AtomicBool,
    state_denied: AtomicBool,
    /// Throttles the warnings about socket destinations that are not granted.
    pub(super) sockets_denied: LogThrottle,
    /// Throttles the warnings about request targets that are not granted.
    pub(super) requests_denied: Arc<LogThrottle>,
    /// Cancelled when another version of the action replaces this one.
    retired: CancellationToken,
}

impl std::fmt::Debug for ActionAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (gate, term) = (&self.gate, &self.term);
        let mut shown = f.debug_struct("Access");
        shown.field("action", &self.action).field("gate", gate).field("term", term).finish()
    }
}

impl ActionAccess {
    /// What `grants` let `action` reach under `term`, within `limits`. Background work runs on
    /// `spawner`.
    #[must_use]
    pub fn new(
        action: Arc<str>,
        grants: Arc<Grants>,
        limits: &Limits,
        term: TermLink,
        spawner: Spawner,
    ) -> Self {
        let (gate, calls) = (Arc::clone(&term.gate), term.calls.clone());
        Self::build(gate, Some(term), calls, action, grants, limits, spawner)
    }

    /// Like [`new`](Self::new), but without a term, while `gate` is open: there is no state then.
    pub fn without_term(
        action: Arc<str>,
        grants: Arc<Grants>,
        limits: &Limits,
        gate: Arc<Gate>,
        calls: Option<Arc<dyn TaskCaller>>,
        spawner: Spawner,
    ) -> Self {
        Self::build(gate, None, calls, action, grants, limits, spawner)
    }

    fn build(
        gate: Arc<Gate>,
        term: Option<TermLink>,
        task_caller: Option<Arc<dyn TaskCaller>>,
        action: Arc<str>,
        grants: Arc<Grants>,
        limits: &Limits,
        spawner: Spawner,
    ) -> Self {
        Self {
            settings: wasi_config::variables(&grants),
            memory_max: limits.memory,
            memory_of_all: GuestMemoryGauge::of(&action),
            log: ActionLog::new(action.clone(), gate.clone(), limits.log).into(),
            blocking: BlockingPools::default().of(&action),
            account: Account::alone(&action),
            action,
            grants,
            gate,
            term,
            task_caller,
            spawner,
            http: OnceLock::new(),
            increments: Mutex::default(),
            resigning: AtomicBool::default(),
            state_denied: AtomicBool::default(),
            sockets_denied: LogThrottle::default(),
            requests_denied: Arc::default(),
            retired: CancellationToken::new(),
        }
    }

    /// Keeps the latest lines that the guests print in `buffers` as well.
    pub fn with_log_buffers(self, lines: &LogBuffers) -> Self {
        self.log.set_buffer(lines.of(&self.action));
        self
    }

    /// Makes the guests block on threads of `blocking`, and charges the memory held for them to
    /// `account`.
    pub fn with_resources(self, blocking: &Arc<BlockingPool>, account: &Account) -> Self {
        Self { blocking: Arc::clone(blocking), account: account.clone(), ..self }
    }

    /// Tells the guests that watch for their end that another version of the action replaces them.
    pub fn retire(&self) {
        self.retired.cancel();
    }

    /// Resolves when guests are to finish: the term is ending, or they were retired.
    pub async fn ending(&self) {
        tokio::select! {
            () = self.gate().ending() => {}
            () = self.retired.cancelled() => {}
        }
    }

    /// The gate that every effect passes.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Calls tasks on its behalf; `None` where no tasks can be called.
    pub(super) fn task_caller(&self) -> Option<Arc<dyn TaskCaller>> {
        self.task_caller.clone()
    }

    /// The HTTP client of the action in this term. It keeps connections open.
    pub(super) fn http_client(&self) -> Result<&HttpClient, rustls::Error> {
        match self.http.get() {
            Some(client) => Ok(client),
            None => {
                let client = http::new_client(self)?;
                Ok(self.http.get_or_init(|| client))
            }
        }
    }

    /// Warns, once a term, that a guest asked for state that is not granted.
    pub(super) fn warn_state_denied(&self) {
        if !self.state_denied.swap(true, Ordering::Relaxed) {
            let name = &self.action;
            let what = format!(
                "state denied: `state = true` in [action.{name}] lets the plugin keep state (wasi:keyvalue)"
            );
            tracing::warn!(action = %name, token = self.gate().term().token.0, "{what}");
            self.log.add_host_line(&what);
        }
    }
}
