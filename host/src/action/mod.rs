//! Actions: one runner a kind, and their supervision.
//!
//! Invariants:
//! - Whatever runs under a term is a task of its [`Tasks`]; nothing is detached.
//!   When [`Running::stop`] resolves, no task, store or connection is left, and
//!   the address is free.
//! - On a drain the address is let go first of all, so that clients reach the
//!   next leader; on a stop, together with everything else.
//! - The gate is asked before a request begins and before every piece of its
//!   response leaves; every response names the host and the token.
//! - A runner decides nothing about the term: it reports a [`Failure`].

mod body;
mod fate;
mod http;
mod limits;
mod listen;
mod refusal;
mod request;
mod running;
mod service;
mod status;
mod tasks;

use std::{fmt, sync::Arc};

pub use listen::Preflight;
pub use running::{Failure, Running, Scope};
pub use status::{ActionStatus, State};
pub use tasks::Tasks;

use crate::{
    capability::{Access, Spawner, TermLink},
    config::ActionConfig,
    election::Group,
    plugin::{Engine, Entry, Kind, Plugin, PluginError},
};
use running::Way;
use status::Board;

/// A plugin that was prepared under its settings. It outlives terms.
pub struct Action {
    config: ActionConfig,
    engine: Arc<Engine>,
    plugin: Plugin,
    board: Board,
}

impl Action {
    /// Loads the plugin. This blocks, and compiling can take seconds.
    ///
    /// # Errors
    /// When the plugin is nothing that this host can run.
    pub fn prepare(config: &ActionConfig, engine: &Arc<Engine>) -> Result<Arc<Self>, PluginError> {
        let plugin = Plugin::load(engine, &config.plugin)?;
        let (config, engine) = (config.clone(), engine.clone());
        Ok(Arc::new(Self { config, engine, plugin, board: Board::default() }))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.config.name
    }

    /// What it is run as.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.plugin.kind()
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
        match self.kind() {
            Kind::Http => listen::check(&self.config.name, self.config.listen),
            Kind::Service => Ok(()),
        }
    }

    /// How many instances its engine runs, of all actions together.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.engine.live()
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> ActionStatus {
        let progress = self.board.lock().clone();
        let file = self.plugin.file();
        let configured = (self.kind() == Kind::Http).then_some(self.config.listen);
        ActionStatus {
            name: self.name().clone(),
            kind: self.kind(),
            group: self.group().clone(),
            state: progress.state,
            plugin: file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned(),
            sha256: self.plugin.sha256().clone(),
            restarts: progress.restarts,
            listen: progress.listen.or(configured),
            last_error: progress.last_error,
        }
    }

    /// Starts it under a term, in the current runtime.
    #[must_use = "it is cancelled when this is dropped"]
    pub fn start(self: &Arc<Self>, scope: Scope) -> Running {
        Running::start(self.clone(), scope, |run| match self.plugin.entry() {
            Entry::Http(entry) => Way::Http(http::start(run, entry.clone())),
            Entry::Service(entry) => Way::Service(service::start(run, entry.clone())),
        })
    }

    fn access(&self, term: &TermLink, links: Tasks) -> Access {
        let spawner = Spawner::new(move |task| drop(links.spawn(task)));
        Access::new(self.name().clone(), self.config.grants.clone(), term.clone(), spawner)
    }

    fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    fn board(&self) -> &Board {
        &self.board
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Action").field("name", self.name()).field("kind", &self.kind()).finish()
    }
}
