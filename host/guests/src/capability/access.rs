//! What the guests of one action may reach, under one term or while their host stands by.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_config::WasiConfigVariables;

use super::{
    BlockingPool, BlockingPools, LogBuffers, Spawner, TaskCaller, TermLink,
    action_log::ActionLog,
    outbound::{GatedConnector, HttpClient},
    wasi_config,
};
use soloist_config::{Grants, Limits};
use soloist_leadership::Gate;
use soloist_resources::budget::Account;
use soloist_telemetry::{log_throttle::LogThrottle, measure::GuestMemoryGauge};

/// An action, and what its settings allow it.
pub struct ActionPermissions<'a> {
    /// The action's name.
    pub action: Arc<str>,
    /// What its settings grant.
    pub grants: Arc<Grants>,
    /// How much memory its instances may take, and how much they may print.
    pub limits: &'a Limits,
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

impl fmt::Debug for ActionAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (gate, term) = (&self.gate, &self.term);
        let mut shown = f.debug_struct("ActionAccess");
        shown.field("action", &self.action).field("gate", gate).field("term", term).finish()
    }
}

impl ActionAccess {
    /// What an action with these permissions may reach under `term`. Background work runs on
    /// `spawner`.
    #[must_use]
    pub fn new(permissions: ActionPermissions<'_>, term: TermLink, spawner: Spawner) -> Self {
        let (gate, task_caller) = (Arc::clone(&term.gate), term.task_caller.clone());
        Self { term: Some(term), ..Self::without_term(permissions, gate, task_caller, spawner) }
    }

    /// Like [`new`](Self::new), but without a term, while `gate` is open: there is no state then.
    pub fn without_term(
        permissions: ActionPermissions<'_>,
        gate: Arc<Gate>,
        task_caller: Option<Arc<dyn TaskCaller>>,
        spawner: Spawner,
    ) -> Self {
        let ActionPermissions { action, grants, limits } = permissions;
        Self {
            settings: wasi_config::variables(&grants),
            memory_max: limits.max_memory,
            memory_of_all: GuestMemoryGauge::of(&action),
            log: ActionLog::new(action.clone(), gate.clone(), limits.max_log_rate).into(),
            blocking: BlockingPools::default().of(&action),
            account: Account::alone(&action),
            action,
            grants,
            gate,
            term: None,
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
    pub fn with_log_buffers(self, buffers: &LogBuffers) -> Self {
        self.log.set_buffer(buffers.of(&self.action));
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
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        let connector = GatedConnector {
            action: self.action.clone(),
            grants: self.grants.clone(),
            denied: self.requests_denied.clone(),
            log: self.log.clone(),
            blocking: self.blocking.clone(),
            gate: self.gate.clone(),
        };
        let client = HttpClient::new(connector, self.spawner.clone())?;
        Ok(self.http.get_or_init(|| client))
    }

    /// Warns, once a term, that a guest asked for state that is not granted.
    pub(super) fn warn_state_denied(&self) {
        let (name, place) = (&self.action, &self.grants.written_in);
        let what = format!(
            "state denied: `state = true` in {place} lets the plugin keep state (wasi:keyvalue)"
        );
        if !self.state_denied.swap(true, Ordering::Relaxed) {
            tracing::warn!(action = %name, fencing_token = self.gate().term().fencing_token.0, "{what}");
            self.log.add_host_line(&what);
        }
        self.log.note_denial(what);
    }

    /// The last thing that a guest was denied since this was asked before, and which setting would
    /// grant it.
    pub fn take_denial(&self) -> Option<String> {
        self.log.take_denial()
    }
}
