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

mod absent;
mod act;
mod asked;
mod body;
mod catalog;
mod connection;
mod door;
mod fate;
mod handed;
mod headers;
mod hook;
mod inbound;
mod instances;
mod job;
mod limits;
mod listen;
mod lobby;
mod opening;
mod paths;
mod places;
mod prepare_error;
mod refusal;
mod request;
mod reserve;
mod routes;
mod running;
mod service;
mod shared;
mod single;
mod stage;
mod status;
mod task;
mod tasks;
mod upload;
mod valid;
mod wanted;
mod wire;
mod worker;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;

pub use absent::Absent;
pub(crate) use absent::keep_places;
pub(crate) use body::{Late, ReplyBody};
pub use catalog::{Catalog, Preparing, Programme, Refused};
pub(crate) use connection::{Answers, Caller, Hall, Secure, accept_all};
pub(crate) use door::{Door, Opening, Persistence};
pub(crate) use headers::{add_forwarded, say_forwarded, take_off_hop_by_hop, takes_trailers};
pub use hook::Hooks;
pub(crate) use inbound::{Inbound, Kept};
pub use job::{
    Act, Begun, Claimed, Course, Declined, Desk, Firing, Jobs, Ledger, Mark, OpenedAs, Outcome,
    Over, Page, RECORDS_MAX, Record, Upcoming, history, upcoming,
};
pub(crate) use limits::FAILED_AGAIN;
pub use listen::Preflight;
pub use lobby::Lobby;
pub(crate) use lobby::{Floor, Performer, Visit};
pub(crate) use paths::{Paths, take_off};
pub(crate) use places::Places;
pub use prepare_error::PrepareError;
pub(crate) use refusal::{BAD_BODY, Unserved, nowhere, told, too_large};
pub use running::{Failure, Scope};
pub(crate) use stage::{DoorKey, door_key};
pub use stage::{Stage, mounts};
pub use status::{ActionStatus, State};
pub use task::{Offers, TaskError, Workshop};
pub use tasks::Tasks;
pub(crate) use valid::{Outright, is_host};

use soloist_config::{ActionConfig, JobConfig, Reserved, Restart};
use soloist_guests::{
    capability::{Access, BlockingPool, Calls, Spawner, TermLink},
    plugin::{self, Engine, Kind, Kinds, Pace, Plugin, Slot},
};
use soloist_heart::Group;
use soloist_leadership::Gate;
use soloist_resources::budget::Account;
use soloist_tls::Acceptor;
use status::Board;

/// A plugin that was prepared under its settings: one version of an action. It
/// outlives terms.
pub struct Action {
    config: ActionConfig,
    engine: Arc<Engine>,
    plugin: Plugin,
    kinds: Kinds,
    pace: Pace,
    /// The threads on which its guests block.
    blocking: Arc<BlockingPool>,
    /// What the host holds for it.
    account: Account,
    tls: Option<Acceptor>,
    board: Board,
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
    pub fn prepare(config: &ActionConfig, engine: &Arc<Engine>) -> Result<Arc<Self>, PrepareError> {
        Self::load(config, engine).map(Arc::new)
    }

    /// Puts it on trial, since it came or was changed while the host ran; `former` is what it
    /// takes the place of.
    fn try_after(&self, former: Option<&Arc<Self>>) {
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
    pub fn glance(config: &ActionConfig) -> Result<Kinds, PrepareError> {
        let kinds = wanted::kinds(config, &plugin::kinds(&config.plugin)?)?;
        check_standby(config, &kinds)?;
        Ok(kinds)
    }

    fn load(config: &ActionConfig, engine: &Arc<Engine>) -> Result<Self, PrepareError> {
        let tls = config.tls.as_ref().map(Acceptor::new).transpose()?;
        let plugin = Plugin::load_pinned(engine, &config.plugin, config.sha256)?;
        let kinds = wanted::kinds(config, plugin.kinds())?;
        let plugin = plugin.narrowed_to(&kinds);
        check_standby(config, &kinds)?;
        let (config, engine) = (config.clone(), engine.clone());
        let pace = Pace::new(config.limits.cpu);
        let blocking = engine.pools().of(&config.name);
        let account = engine.budget().of(&config.name);
        let (board, trial) = (Board::default(), Trial::Over.into());
        Ok(Self { config, engine, plugin, kinds, pace, blocking, account, tls, board, trial })
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
    pub fn preflight(&self) -> Result<(), Preflight> {
        self.listen().map_or(Ok(()), |listen| listen::check(self.name(), listen))
    }

    /// Whether `other` is the same plugin under the same settings.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.config == other.config && self.plugin.sha256() == other.plugin.sha256()
    }

    /// How long it has to run to have run well.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.config.patience.window
    }

    /// Where it answers requests, if it does.
    #[must_use]
    pub fn listen(&self) -> Option<SocketAddr> {
        self.kinds().has(Kind::Http).then_some(self.config.listen)
    }

    /// The place that is kept for it when it cannot be had any more.
    fn reserved(&self) -> Option<Reserved> {
        self.listen().and_then(|_| Reserved::of(&self.config))
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> ActionStatus {
        let progress = self.board.lock().clone();
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
    fn prove(&self) {
        *self.trial() = Trial::Over;
    }

    fn trial(&self) -> parking_lot::MutexGuard<'_, Trial> {
        self.trial.lock()
    }

    fn access(&self, term: &TermLink, links: Tasks) -> Access {
        let (name, grants) = (self.name().clone(), self.config.grants.clone());
        let access = Access::new(name, grants, &self.config.limits, term.clone(), spawner(links));
        self.equipped(access)
    }

    fn access_outside(
        &self,
        gate: &Arc<Gate>,
        calls: Option<Arc<dyn Calls>>,
        links: Tasks,
    ) -> Access {
        let (name, grants) = (self.name().clone(), self.config.grants.clone());
        let (limits, gate) = (&self.config.limits, Arc::clone(gate));
        let access = Access::outside(name, grants, limits, gate, calls, spawner(links));
        self.equipped(access)
    }

    /// With what the action has for the host's life, whichever term it is in.
    fn equipped(&self, access: Access) -> Access {
        access.printing_to(self.engine.lines()).equipped(&self.blocking, &self.account)
    }

    /// Whether its plugin has a program that is not run, since nothing says that it should.
    fn leaves_out_program(&self) -> bool {
        let said = self.config.kinds.is_some() || self.job().is_some();
        !said && self.plugin.kinds().has(Kind::Service) && !self.kinds().has(Kind::Service)
    }

    /// When its service is started again. A program that ends well has done its work: it may
    /// be a job whose schedule was forgotten, which must not be done over and over.
    fn restart(&self) -> Restart {
        self.config.restart.unwrap_or(Restart::OnFailure)
    }

    pub(crate) fn config(&self) -> &ActionConfig {
        &self.config
    }

    /// What accepts its connections, where that takes TLS.
    pub(crate) fn tls(&self) -> Option<&Acceptor> {
        self.tls.as_ref()
    }

    fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Waits for the right to one more instance.
    async fn slot(&self) -> Slot {
        self.engine.slot(self.plugin.weight()).await
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

    fn board(&self) -> &Board {
        &self.board
    }
}

/// Refuses that standbys do something with requests, where there are none.
fn check_standby(config: &ActionConfig, kinds: &Kinds) -> Result<(), PrepareError> {
    let standby = config.relayed.standby;
    if standby.listens() && !kinds.has(Kind::Http) {
        return Err(PrepareError::NoRequests { action: Arc::clone(&config.name), standby });
    }
    Ok(())
}

fn spawner(links: Tasks) -> Spawner {
    Spawner::new(move |task| drop(links.spawn(task)))
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action").field("name", self.name()).field("kinds", self.kinds()).finish()
    }
}
