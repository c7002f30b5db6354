//! Actions: a runner for each kind, and what they share.
//!
//! A [`Stage`] runs the actions of a group under one term; the [`Catalog`] says which
//! ones, in which version.
//!
//! Invariants:
//! - Whatever runs under a term is a task of its [`Tasks`]; nothing is detached.
//!   When [`Stage::stop`] resolves, no task, store or connection is left, and
//!   the addresses are free.
//! - On a drain the addresses are let go first of all, so that clients reach the
//!   next leader; on a stop, together with everything else.
//! - The gate is asked before a request begins and before every piece of its
//!   response leaves; every response names the host and the token.
//! - A version that is replaced answers every request that it was given, and a
//!   service ends before another version of it begins.
//! - A runner decides nothing about the term: it reports a [`Failure`].

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
pub(crate) use action_refusal::{BAD_BODY, Unserved, told, too_large, unknown_path};
pub use action_status::{ActionState, ActionStatus};
pub use action_version::{ActionFailure, TermServices};
pub(crate) use address_listener::{AddressListener, BindRetry, ListenerState};
pub use bind::PreflightError;
pub use catalog::{Catalog, Preparing, Programme, RefusedPlugin};
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
    capability::{ActionAccess, ActionPermissions, BlockingPool, Spawner, TaskCaller, TermLink},
    plugin::{self, CpuTurns, InstanceSlot, Kind, Kinds, Plugin, PluginEngine},
};
use soloist_heart::Group;
use soloist_leadership::Gate;
use soloist_resources::budget::Account;
use soloist_tls::ReloadingAcceptor;

/// A plugin that was prepared under its settings: one version of an action. It
/// outlives terms.
pub struct Action {
    config: ActionConfig,
    engine: Arc<PluginEngine>,
    plugin: Plugin,
    kinds: Kinds,
    pace: CpuTurns,
    /// The threads on which its guests block.
    blocking: Arc<BlockingPool>,
    /// What the host holds for it.
    account: Account,
    tls: Option<ReloadingAcceptor>,
    live_status: LiveStatusCell,
    trial: Mutex<Trial>,
}

/// Whether a version has shown that it runs.
enum Trial {
    /// It has, or there is nothing else to run.
    Over,
    /// Not yet; this one did before it, if there was one.
    On(Option<Arc<Action>>),
}

impl Action {
    /// Loads the plugin. This blocks, and compiling can take seconds.
    ///
    /// # Errors
    /// When the plugin is nothing that this host can run.
    pub fn prepare(
        config: &ActionConfig,
        engine: &Arc<PluginEngine>,
    ) -> Result<Arc<Self>, PrepareError> {
        Self::load(config, engine).map(Arc::new)
    }

    /// Puts it on trial, since it came or was changed while the host ran; `former` is what it
    /// takes the place of.
    fn start_trial_after(&self, former: Option<&Arc<Self>>) {
        // One that has not shown that it runs is nothing to go back to, if there is
        // another; nor does one keep the other in memory, and so on.
        let last_good = former.map(|former| former.last_good().unwrap_or_else(|| former.clone()));
        *self.trial() = Trial::On(last_good);
    }

    /// What the action of `config` would be run as, by what its plugin exports; nothing is
    /// compiled.
    ///
    /// # Errors
    /// When it is seen without that, that it could not be run.
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

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.config.name
    }

    /// What it is run as.
    #[must_use]
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// When it is run as a job, if it is one.
    #[must_use]
    pub fn job(&self) -> Option<&JobConfig> {
        self.config.job.as_ref()
    }

    /// The group whose leader runs it.
    #[must_use]
    pub fn group(&self) -> &Group {
        &self.config.group
    }

    /// Checks what can be checked without a term: whether its address is free.
    ///
    /// # Errors
    /// When it could not be started now; the error tells whether it ever could.
    pub fn preflight(&self) -> Result<(), PreflightError> {
        self.listen().map_or(Ok(()), |listen| bind::check_address(self.name(), listen))
    }

    /// Whether `other` is the same plugin under the same settings.
    #[must_use]
    pub fn is_same_version(&self, other: &Self) -> bool {
        self.config == other.config && self.plugin.sha256() == other.plugin.sha256()
    }

    /// How long it has to run to have run well.
    #[must_use]
    pub fn stable_after(&self) -> Duration {
        self.config.restart_limit.window
    }

    /// Where it answers requests, if it does.
    #[must_use]
    pub fn listen(&self) -> Option<SocketAddr> {
        self.kinds().has(Kind::Http).then_some(self.config.listen)
    }

    /// The place that is kept for it when it cannot be had any more.
    fn reserved(&self) -> Option<ReservedMount> {
        self.listen().and_then(|_| ReservedMount::from_config(&self.config))
    }

    /// How it is.
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

    /// Whether it came while the host ran, and has not shown yet that it runs.
    #[must_use]
    pub fn on_trial(&self) -> bool {
        matches!(*self.trial(), Trial::On(_))
    }

    /// What ran before this version, as long as it is on trial.
    fn last_good(&self) -> Option<Arc<Self>> {
        match &*self.trial() {
            Trial::On(last_good) => last_good.clone(),
            Trial::Over => None,
        }
    }

    /// It runs: what ran before it is not needed any more.
    fn end_trial(&self) {
        *self.trial() = Trial::Over;
    }

    fn trial(&self) -> parking_lot::MutexGuard<'_, Trial> {
        self.trial.lock()
    }

    fn access(&self, term: &TermLink, links: TaskScope) -> ActionAccess {
        self.equipped(ActionAccess::new(self.permissions(), term.clone(), spawner(links)))
    }

    fn access_outside_term(
        &self,
        gate: &Arc<Gate>,
        calls: Option<Arc<dyn TaskCaller>>,
        links: TaskScope,
    ) -> ActionAccess {
        let (permissions, gate) = (self.permissions(), Arc::clone(gate));
        self.equipped(ActionAccess::without_term(permissions, gate, calls, spawner(links)))
    }

    fn permissions(&self) -> ActionPermissions<'_> {
        ActionPermissions {
            action: self.name().clone(),
            grants: self.config.grants.clone(),
            limits: &self.config.limits,
        }
    }

    /// With what the action has for the host's life, whichever term it is in.
    fn equipped(&self, access: ActionAccess) -> ActionAccess {
        access
            .with_log_buffers(self.engine.log_buffers())
            .with_resources(&self.blocking, &self.account)
    }

    /// Whether its plugin has a program that is not run, since nothing says that it should.
    fn leaves_out_program(&self) -> bool {
        let said = self.config.kinds.is_some() || self.job().is_some();
        !said && self.plugin.kinds().has(Kind::Service) && !self.kinds().has(Kind::Service)
    }

    /// When its service is started again. A program that ends well has done its work: it may
    /// be a job whose schedule was forgotten, which must not be done over and over.
    fn restart_policy(&self) -> RestartPolicy {
        self.config.restart.unwrap_or(RestartPolicy::OnFailure)
    }

    pub(crate) fn config(&self) -> &ActionConfig {
        &self.config
    }

    /// What accepts its connections, where that takes TLS.
    pub(crate) fn tls(&self) -> Option<&ReloadingAcceptor> {
        self.tls.as_ref()
    }

    fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    fn engine(&self) -> &Arc<PluginEngine> {
        &self.engine
    }

    /// Waits for the right to one more instance.
    async fn slot(&self) -> InstanceSlot {
        self.engine.slot(self.plugin.slot_cost()).await
    }

    /// Runs one of its guests: its long steps each in its turn, and its calls on files on
    /// the action's own threads.
    async fn run<F: Future>(&self, guest: F) -> F::Output {
        if self.config.grants.folders.is_empty() {
            return self.pace.run(guest).await;
        }
        self.pace.run(self.blocking.run(guest)).await
    }

    /// What is charged that the host holds for it.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    fn live_status(&self) -> &LiveStatusCell {
        &self.live_status
    }
}

/// Refuses that standbys do something with requests, where there are none.
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
