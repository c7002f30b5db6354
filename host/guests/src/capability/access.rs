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

/// What a guest brings about that concerns the whole term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TermNotice {
    /// A guest asks this host to give the leadership up.
    Resign {
        /// The guest's action.
        action: Arc<str>,
        /// Why.
        reason: String,
    },
    /// The store refused a write, since the term's key is gone: another host may lead.
    Fenced,
}

/// A term, as far as the guests that run under it are concerned.
#[derive(Clone)]
pub struct TermLink {
    /// The gate.
    pub gate: Arc<Gate>,
    /// The key that the leadership was won with; it guards every write.
    pub key: LeaderKey,
    /// Where actions keep their state.
    pub state: Arc<dyn StateStore>,
    /// Where notices go.
    pub notices: UnboundedSender<TermNotice>,
    /// Who has the tasks done that guests call.
    pub calls: Option<Arc<dyn TaskCaller>>,
}

impl TermLink {
    /// The store has refused a write of `action`: shuts the gate right here, so that
    /// nothing else of the term leaves while the notice is on its way.
    pub fn fenced(&self, action: &str) {
        self.gate.revoke();
        let term = self.gate.term();
        tracing::warn!(
            event = "fenced", action, group = %term.group, token = term.token.0,
            "the store refused a write: the leadership has passed to another host, or may have",
        );
        // Nobody listens where the term is ending already.
        let _ = self.notices.send(TermNotice::Fenced);
    }
}

impl std::fmt::Debug for TermLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TermLink").field("gate", &self.gate).field("key", &self.key).finish()
    }
}

/// Starts tasks for an action, whose owner joins them when the term ends.
#[derive(Clone)]
pub struct Spawner(Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>);

impl Spawner {
    /// Tasks are started by `spawn`.
    #[must_use]
    pub fn new(spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }

    /// Starts `task`.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        (self.0)(Box::pin(task));
    }

    /// Starts `work`; it ends early when the guard is dropped. Nothing comes of it when the
    /// term ends it.
    pub fn spawn_cancellable<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> (oneshot::Receiver<T>, DropGuard) {
        let ((tell, told), end) = (oneshot::channel(), CancellationToken::new());
        let ended = end.clone();
        self.spawn(async move {
            if let Some(done) = ended.run_until_cancelled_owned(work).await {
                // Whoever wanted to know may have gone.
                let _ = tell.send(done);
            }
        });
        (told, end.drop_guard())
    }

    /// Has `work` done while a guest waits for it: not by the guest's own future, which may
    /// be kept from the processor (`plugin/pace.rs`) while the work holds what others wait
    /// for, be it a lock, a place or a connection.
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

/// Made once for an action under a term, and shared by all of its instances.
pub struct ActionAccess {
    /// The action's name.
    pub action: Arc<str>,
    /// What its settings grant.
    pub grants: Arc<Grants>,
    /// What every effect passes.
    gate: Arc<Gate>,
    /// The term; nothing, for a hook that runs while the host stands by.
    pub term: Option<TermLink>,
    /// Who has the tasks done that it calls.
    task_caller: Option<Arc<dyn TaskCaller>>,
    /// The threads on which its instances block.
    pub(super) blocking: Arc<BlockingPool>,
    /// What the host holds for them.
    pub(super) account: Account,
    /// Where its outgoing requests and connections run.
    pub(super) spawner: Spawner,
    /// What its settings tell it.
    pub(super) settings: WasiConfigVariables,
    /// The memory of each instance, in bytes at most.
    pub(super) memory_max: usize,
    /// What they have of it, all together.
    pub(super) memory_of_all: GuestMemoryGauge,
    /// What all instances print, together.
    pub(super) log: Arc<ActionLog>,
    http: OnceLock<HttpClient>,
    /// One increment waits for the other, so that they do not conflict.
    pub(super) increments: Mutex<()>,
    /// Whether the action has asked for the end of the term.
    pub(super) resigning: AtomicBool,
    state_denied: AtomicBool,
    /// Where it wanted to connect, which nothing grants.
    pub(super) sockets_denied: LogThrottle,
    /// What it wanted to send where nothing is granted.
    pub(super) requests_denied: Arc<LogThrottle>,
    /// Told when another version of the action takes this one's place.
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
    /// What `grants` let `action` reach under `term`, within `limits`; `spawner`
    /// starts what that takes.
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

    /// The same outside of a term, as long as `gate` lets it: there is no state then.
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

    /// The same; the latest lines that the guests print are kept in `lines`.
    pub fn with_log_buffers(self, lines: &LogBuffers) -> Self {
        self.log.set_buffer(lines.of(&self.action));
        self
    }

    /// The same; where the guests block, they do so on threads of `blocking`, and what is held
    /// for them is charged to `account`.
    pub fn with_resources(self, blocking: &Arc<BlockingPool>, account: &Account) -> Self {
        Self { blocking: Arc::clone(blocking), account: account.clone(), ..self }
    }

    /// Tells the guests that ask that their time is over: another version of the action
    /// takes their place.
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

    /// The gate.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Who has the tasks done that it calls, if anybody.
    pub(super) fn task_caller(&self) -> Option<Arc<dyn TaskCaller>> {
        self.task_caller.clone()
    }

    /// The client of the action in this term; it keeps connections open.
    pub(super) fn http_client(&self) -> Result<&HttpClient, rustls::Error> {
        match self.http.get() {
            Some(client) => Ok(client),
            None => {
                let client = http::new_client(self)?;
                Ok(self.http.get_or_init(|| client))
            }
        }
    }

    /// Tells, once a term, that state was asked for which is not granted.
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
