//! Actions: how the plugins of a group run under a term.
//!
//! A [`GroupTerm`] runs the actions of one group for as long as this host leads it; the [`Catalog`]
//! says which actions there are, and in which version. There is one runner for each kind of plugin
//! (http, service, job, task, hooks).
//!
//! Guarantees:
//! - Whatever runs under a term is a task of its [`TaskScope`]; nothing is detached. When
//!   [`GroupTerm::stop`] resolves, no task, store or connection is left and the addresses are free.
//! - A drain closes the listening sockets first, so that clients reach the next leader; a stop
//!   closes them together with everything else.
//! - The gate is checked before a request starts and before each piece of its response is sent.
//!   Every response names the host and the token.
//! - A version that is replaced answers every request that it has accepted, and a service ends
//!   before another version of it starts.
//! - A runner decides nothing about the term: it reports an [`ActionFailure`].

mod access_log;
mod action_directory;
mod action_refusal;
mod action_server;
mod action_status;
mod action_term;
mod action_version;
mod address_listener;
mod bind;
mod catalog;
mod client_stream;
mod connection;
mod connection_slots;
mod effective_kinds;
mod group_term;
mod guest_handle;
mod headers;
mod http_instances;
mod inactive_actions;
mod instance_state;
mod job;
mod leader_hooks;
mod limited_body;
mod limits;
mod path_map;
mod pending_responses;
mod prepare_error;
mod request_body;
mod response_body;
mod service;
mod shared_instances;
mod single_instances;
mod task;
mod task_scope;
mod term_routes;
mod tracked_body;
mod validation;
mod warm_pool;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;

pub use action_directory::ActionDirectory;
pub(crate) use action_directory::{ActiveAction, ActiveActions, LocalOutcome};
pub(crate) use action_refusal::{BAD_BODY, Unserved, plain_response, too_large, unknown_path};
pub use action_status::{ActionState, ActionStatus};
pub use action_version::{ActionFailure, TermServices};
pub(crate) use address_listener::{AddressListener, BindRetry, ListenerState};
pub use bind::PreflightError;
pub use catalog::{Catalog, Programme, RefusedPlugin, StartupProgress};
pub(crate) use connection::{
    ConnectionContext, ConnectionInfo, OverTls, RequestHandler, accept_all,
};
pub(crate) use connection_slots::ConnectionSlots;
pub use group_term::{GroupTerm, mounts};
pub(crate) use group_term::{ListenerKey, listener_key};
pub(crate) use headers::{accepts_trailers, add_forwarded, set_forwarded, strip_hop_by_hop};
pub use inactive_actions::InactiveActions;
pub(crate) use inactive_actions::keep_reserved_paths;
pub use job::{
    ClaimedSpans, Firing, FiringOutcome, FiringRecord, JobMark, JobPlanner, JobServices, JobStep,
    JobTriggers, Ledger, LedgerOpening, NumberedRecord, RECORDS_MAX, TermOver, TriggerRefusal,
    TriggeredFiring, UpcomingFiring, history, upcoming_firings,
};
pub use leader_hooks::LeaderHooks;
pub(crate) use limits::FAILED_AGAIN;
pub(crate) use path_map::{PathMap, strip_prefix};
pub use prepare_error::PrepareError;
pub(crate) use request_body::{ReplayableBody, RequestBody};
pub(crate) use response_body::{DeferredError, ResponseBody};
pub use task::{TaskError, TaskOffers, TaskPools};
pub use task_scope::TaskScope;
pub(crate) use validation::{EarlyResponse, is_host};

use action_status::LiveStatusCell;
use soloist_config::{ActionConfig, JobConfig, ReservedMount, RestartPolicy};
use soloist_guests::{
    capability::{ActionAccess, BlockingPool, Spawner, TaskCaller, TermLink},
    plugin::{self, CpuTurns, InstanceSlot, Kind, Kinds, Plugin, PluginEngine},
};
use soloist_heart::Group;
use soloist_leadership::Gate;
use soloist_resources::budget::Account;
use soloist_tls::ReloadingAcceptor;

/// A plugin together with its settings, compiled and ready to run: one version of an action. It
/// outlives terms.
pub struct Action {
    config: ActionConfig,
    engine: Arc<PluginEngine>,
    plugin: Plugin,
    kinds: Kinds,
    pace: CpuTurns,
    /// The threads on which its guests make blocking calls.
    blocking: Arc<BlockingPool>,
    /// Accounts for the memory that the host holds on behalf of the action.
    account: Account,
    tls: Option<ReloadingAcceptor>,
    live_status: LiveStatusCell,
    trial: Mutex<Trial>,
}

/// Whether a version has shown that it runs.
enum Trial {
    /// The version has run well, or there is nothing else to run.
    Over,
    /// The version has not run well yet. The version that ran well before it, if there is one.
    On(Option<Arc<Action>>),
}

impl Action {
    /// Loads and compiles the plugin. This blocks, and compiling can take seconds.
    ///
    /// # Errors
    /// This host cannot run the plugin.
    pub fn prepare(
        config: &ActionConfig,
        engine: &Arc<PluginEngine>,
    ) -> Result<Arc<Self>, PrepareError> {
        Self::load(config, engine).map(Arc::new)
    }

    /// Puts this version on trial, because it was added or changed while the host ran; `former` is
    /// the version that it replaces.
    fn start_trial_after(&self, former: Option<&Arc<Self>>) {
        // A version that is itself on trial is no fallback, so its own fallback is used. This also
        // keeps chains of old versions out of memory.
        let last_good = former.map(|former| former.last_good().unwrap_or_else(|| former.clone()));
        *self.trial() = Trial::On(last_good);
    }

    /// What the action of `config` would run as, judged by the exports of its plugin alone; nothing
    /// is compiled.
    ///
    /// # Errors
    /// The exports or the settings already show that the action could not run.
    pub fn inspect_kinds(config: &ActionConfig) -> Result<Kinds, PrepareError> {
        let kinds = effective_kinds::effective_kinds(config, &plugin::kinds(&config.plugin)?)?;
        check_standby(config, &kinds)?;
        Ok(kinds)
    }

    fn load(config: &ActionConfig, engine: &Arc<PluginEngine>) -> Result<Self, PrepareError> {
        let tls = config.tls.as_ref().map(ReloadingAcceptor::new).transpose()?;
        let plugin = Plugin::load_pinned(engine, &config.plugin, config.sha256)?;
        let kinds = effective_kinds::effective_kinds(config, plugin.kinds())?;
        let plugin = plugin.restricted_to(&kinds);
        check_standby(config, &kinds)?;
        let (config, engine) = (config.clone(), engine.clone());
        let pace = CpuTurns::new(config.limits.cpu);
        let blocking = engine.blocking_pools().of(&config.name);
        let account = engine.budget().of(&config.name);
        let (board, trial) = (LiveStatusCell::default(), Trial::Over.into());
        Ok(Self {
            config,
            engine,
            plugin,
            kinds,
            pace,
            blocking,
            account,
            tls,
            live_status: board,
            trial,
        })
    }

    /// The name of the action.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.config.name
    }

    /// The kinds that the action runs as.
    #[must_use]
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// The settings of its job, if it is a job.
    #[must_use]
    pub fn job(&self) -> Option<&JobConfig> {
        self.config.job.as_ref()
    }

    /// The group whose leader runs the action.
    #[must_use]
    pub fn group(&self) -> &Group {
        &self.config.group
    }

    /// Checks what can be checked without a term: whether its address is free.
    ///
    /// # Errors
    /// The action could not be started now; the error tells whether it ever could.
    pub fn preflight(&self) -> Result<(), PreflightError> {
        self.listen().map_or(Ok(()), |listen| bind::check_address(self.name(), listen))
    }

    /// Whether `other` is the same plugin file with the same settings.
    #[must_use]
    pub fn is_same_version(&self, other: &Self) -> bool {
        self.config == other.config && self.plugin.sha256() == other.plugin.sha256()
    }

    /// How long a version must run before it counts as stable.
    #[must_use]
    pub fn stable_after(&self) -> Duration {
        self.config.restart_limit.window
    }

    /// The address on which it answers requests, if it does.
    #[must_use]
    pub fn listen(&self) -> Option<SocketAddr> {
        self.kinds().has(Kind::Http).then_some(self.config.listen)
    }

    /// The address and path that stay reserved for the action when it can no longer run.
    fn reserved(&self) -> Option<ReservedMount> {
        self.listen().and_then(|_| ReservedMount::from_config(&self.config))
    }

    /// The state of the action, for the control API.
    #[must_use]
    pub fn status(&self) -> ActionStatus {
        let progress = self.live_status.lock().clone();
        let file = self.plugin.file();
        ActionStatus {
            name: self.name().clone(),
            kinds: self.kinds().clone(),
            group: self.group().clone(),
            state: progress.state,
            plugin: file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned(),
            sha256: self.plugin.sha256().clone(),
            restarts: progress.restarts,
            listen: progress.listen.or(self.listen()),
            last_error: progress.refused.or(progress.last_error),
            job_trouble: progress.job_trouble,
        }
    }

    /// Whether the version was added while the host ran, and has not yet shown that it runs.
    #[must_use]
    pub fn on_trial(&self) -> bool {
        matches!(*self.trial(), Trial::On(_))
    }

    /// The version to go back to, while this one is on trial.
    fn last_good(&self) -> Option<Arc<Self>> {
        match &*self.trial() {
            Trial::On(last_good) => last_good.clone(),
            Trial::Over => None,
        }
    }

    /// Ends the trial: this version runs, so the version before it is no longer needed.
    fn end_trial(&self) {
        *self.trial() = Trial::Over;
    }

    fn trial(&self) -> parking_lot::MutexGuard<'_, Trial> {
        self.trial.lock()
    }

    fn access(&self, term: &TermLink, links: TaskScope) -> ActionAccess {
        let (name, grants) = (self.name().clone(), self.config.grants.clone());
        let access =
            ActionAccess::new(name, grants, &self.config.limits, term.clone(), spawner(links));
        self.equipped(access)
    }

    fn access_outside_term(
        &self,
        gate: &Arc<Gate>,
        calls: Option<Arc<dyn TaskCaller>>,
        links: TaskScope,
    ) -> ActionAccess {
        let (name, grants) = (self.name().clone(), self.config.grants.clone());
        let (limits, gate) = (&self.config.limits, Arc::clone(gate));
        let access = ActionAccess::without_term(name, grants, limits, gate, calls, spawner(links));
        self.equipped(access)
    }

    /// Adds what belongs to the action for the life of the host, whatever the term.
    fn equipped(&self, access: ActionAccess) -> ActionAccess {
        access.with_log_buffers(self.engine.lines()).with_resources(&self.blocking, &self.account)
    }

    /// Whether the plugin exports a program that is not run because no setting asks for it.
    fn leaves_out_program(&self) -> bool {
        let said = self.config.kinds.is_some() || self.job().is_some();
        !said && self.plugin.kinds().has(Kind::Service) && !self.kinds().has(Kind::Service)
    }

    /// When its service is started again. A program that ends well has done its work: it may be a
    /// job whose schedule was forgotten, which must not run over and over.
    fn restart_policy(&self) -> RestartPolicy {
        self.config.restart.unwrap_or(RestartPolicy::OnFailure)
    }

    pub(crate) fn config(&self) -> &ActionConfig {
        &self.config
    }

    /// Accepts its connections, if its address uses TLS.
    pub(crate) fn tls(&self) -> Option<&ReloadingAcceptor> {
        self.tls.as_ref()
    }

    fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    fn engine(&self) -> &Arc<PluginEngine> {
        &self.engine
    }

    /// Waits for the right to create one more instance.
    async fn slot(&self) -> InstanceSlot {
        self.engine.slot(self.plugin.slot_cost()).await
    }

    /// Runs a guest: its long computations take turns with those of others, and its file operations
    /// run on the action's own threads.
    async fn run<F: Future>(&self, guest: F) -> F::Output {
        if self.config.grants.folders.is_empty() {
            return self.pace.run(guest).await;
        }
        self.pace.run(self.blocking.run(guest)).await
    }

    /// What is charged to the action for memory that the host holds.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    fn live_status(&self) -> &LiveStatusCell {
        &self.live_status
    }
}

/// Refuses a `standby` setting for an action that answers no requests.
fn check_standby(config: &ActionConfig, kinds: &Kinds) -> Result<(), PrepareError> {
    let standby = config.relay.standby;
    if standby.listens() && !kinds.has(Kind::Http) {
        return Err(PrepareError::NoRequests { action: Arc::clone(&config.name), standby });
    }
    Ok(())
}

fn spawner(links: TaskScope) -> Spawner {
    Spawner::new(move |task| drop(links.spawn(task)))
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action").field("name", self.name()).field("kinds", self.kinds()).finish()
    }
}
