//! A plugin that was prepared under its settings, ready to run under any term.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use super::{
    action_status::{ActionStatus, LiveStatusCell},
    effective_kinds,
    prepare_error::PrepareError,
    trial::Trial,
};
use crate::{
    http::{PreflightError, check_address},
    task_scope::TaskScope,
};
use soloist_config::{ActionConfig, JobConfig, ReservedMount, RestartPolicy};
use soloist_guests::{
    capability::{ActionAccess, ActionPermissions, BlockingPool, Spawner, TaskCaller, TermLink},
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
    trial: Trial<Self>,
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
    pub(super) fn start_trial_after(&self, former: Option<&Arc<Self>>) {
        // A version that is itself on trial is no fallback, so its own fallback is used. This also
        // keeps chains of old versions out of memory.
        let last_good = former.map(|former| former.last_good().unwrap_or_else(|| former.clone()));
        self.trial.start(last_good);
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
        let pace = CpuTurns::new(config.limits.max_busy_instances);
        let blocking = engine.blocking_pools().of(&config.name);
        let account = engine.budget().of(&config.name);
        let (board, trial) = (LiveStatusCell::default(), Trial::default());
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
        self.listen().map_or(Ok(()), |listen| check_address(self.name(), listen))
    }

    /// Whether `other` is the same plugin file with the same settings.
    #[must_use]
    pub fn is_same_version(&self, other: &Self) -> bool {
        self.config == other.config && self.plugin.sha256() == other.plugin.sha256()
    }

    /// How long a version must run before it counts as stable.
    #[must_use]
    pub fn stable_after(&self) -> Duration {
        self.config.restart_limit.restart_window
    }

    /// The address on which it answers requests, if it does.
    #[must_use]
    pub fn listen(&self) -> Option<SocketAddr> {
        self.kinds().has(Kind::Http).then_some(self.config.listen)
    }

    /// The address and path that stay reserved for the action when it can no longer run.
    pub(super) fn reserved(&self) -> Option<ReservedMount> {
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
        self.trial.is_on()
    }

    /// The version to go back to, while this one is on trial.
    pub(super) fn last_good(&self) -> Option<Arc<Self>> {
        self.trial.last_good()
    }

    /// Ends the trial: this version runs, so the version before it is no longer needed.
    pub(super) fn end_trial(&self) {
        self.trial.end();
    }

    pub(super) fn access(&self, term: &TermLink, links: TaskScope) -> ActionAccess {
        self.equipped(ActionAccess::new(self.permissions(), term.clone(), spawner(links)))
    }

    pub(super) fn access_outside_term(
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

    /// Adds what belongs to the action for the life of the host, whatever the term.
    fn equipped(&self, access: ActionAccess) -> ActionAccess {
        access
            .with_log_buffers(self.engine.log_buffers())
            .with_resources(&self.blocking, &self.account)
    }

    /// Whether the plugin exports a program that is not run because no setting asks for it.
    pub(super) fn leaves_out_program(&self) -> bool {
        let said = self.config.kinds.is_some() || self.job().is_some();
        !said && self.plugin.kinds().has(Kind::Service) && !self.kinds().has(Kind::Service)
    }

    /// When its service is started again. A program that ends well has done its work: it may be a
    /// job whose schedule was forgotten, which must not run over and over.
    pub(super) fn restart_policy(&self) -> RestartPolicy {
        self.config.restart.unwrap_or(RestartPolicy::OnFailure)
    }

    pub(crate) fn config(&self) -> &ActionConfig {
        &self.config
    }

    /// Accepts its connections, if its address uses TLS.
    pub(crate) fn tls(&self) -> Option<&ReloadingAcceptor> {
        self.tls.as_ref()
    }

    pub(super) fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    pub(super) fn engine(&self) -> &Arc<PluginEngine> {
        &self.engine
    }

    /// Waits for the right to create one more instance.
    pub(super) async fn slot(&self) -> InstanceSlot {
        self.engine.slot(self.plugin.slot_cost()).await
    }

    /// Runs a guest: its long computations take turns with those of others, and its file operations
    /// run on the action's own threads.
    pub(super) async fn run<F: Future>(&self, guest: F) -> F::Output {
        if self.config.grants.mounts.is_empty() {
            return self.pace.run(guest).await;
        }
        self.pace.run(self.blocking.run(guest)).await
    }

    /// What is charged to the action for memory that the host holds.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn live_status(&self) -> &LiveStatusCell {
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
