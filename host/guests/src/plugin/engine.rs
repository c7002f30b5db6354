//! The engine: compiles plugins and holds the pools of their instances.
//!
//! It is two engines of wasmtime, since support for the concurrency of WASI 0.3
//! would slow the components of 0.2 down. They share the slots and the ticking;
//! the second one is made when the first component of 0.3 appears.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use super::{
    EngineError, PluginError,
    artefacts::{self, Note},
    function_cache::FunctionCache,
    machine::{Caches, Machine, Wasi, Weight},
    pool::INSTANCES,
    ticker::{Hurry, Live, Ticker},
    vetting::{Craft, Vetting},
};
use crate::capability::{BlockingPools, Lines};
use soloist_resources::budget::Budget;

/// The program that runs, even if an upgrade has put another in its place (proc(5)).
const THIS_PROGRAM: &str = "/proc/self/exe";

/// The right to one instance. Whoever holds one may instantiate: the pools have what it
/// takes.
#[derive(Debug)]
pub struct Slot {
    _live: Live,
    _permit: OwnedSemaphorePermit,
}

/// What instances hold of the pools at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolUsage {
    /// Component instances.
    pub components: u64,
    /// Core instances.
    pub cores: u64,
    /// Linear memories.
    pub memories: usize,
    /// Tables.
    pub tables: usize,
    /// Stacks.
    pub stacks: usize,
}

/// The engine of the process.
pub struct Engine {
    plain: Machine,
    concurrent: Arc<OnceLock<Machine>>,
    /// Held while the second one is made, so that it is made once.
    making: Mutex<()>,
    caches: Caches,
    vetting: Option<Vetting>,
    slots: Arc<Semaphore>,
    ticker: Ticker,
    lines: Lines,
    pools: BlockingPools,
    budget: Budget,
}

impl Engine {
    /// Reserves the pool and starts the ticking of epochs. With `cache`,
    /// compiled plugins are kept in that folder, so that the next start is quick.
    ///
    /// # Errors
    /// When the machine does not give what the engine needs.
    pub fn new(cache: Option<PathBuf>) -> Result<Self, EngineError> {
        Self::with(Caches { folder: cache, functions: None })
    }

    /// The engine of this user's hosts: what it compiles is compiled by this program within limits,
    /// as [`vetting_by`](Self::vetting_by) has it, and kept for all of them.
    ///
    /// # Errors
    /// When the machine does not give what the engine needs.
    pub fn of_this_program(functions: Option<PathBuf>) -> Result<Self, EngineError> {
        Ok(Self::new(cache_folder())?.vetting_by(THIS_PROGRAM.into(), functions))
    }

    /// The same as [`new`](Self::new), which takes functions from the file `functions`, and puts
    /// there what it compiles, when it is asked to keep them.
    pub fn with_functions(cache: Option<PathBuf>, functions: &Path) -> Result<Self, EngineError> {
        let opened = FunctionCache::open(functions);
        let opened = opened.map_err(|source| EngineError::Cache {
            folder: functions.to_owned(),
            source: source.into(),
        })?;
        Self::with(Caches { folder: cache, functions: Some(opened.into()) })
    }

    fn with(caches: Caches) -> Result<Self, EngineError> {
        let plain = Machine::new(Wasi::V02, &caches)?;
        let concurrent = Arc::<OnceLock<Machine>>::default();
        let (first, second) = (plain.engine.clone(), concurrent.clone());
        let tick = move || {
            first.increment_epoch();
            if let Some(second) = second.get() {
                second.engine.increment_epoch();
            }
        };
        let ticker = Ticker::start(tick).map_err(|source| EngineError::Ticker { source })?;
        let slots = Arc::new(Semaphore::new(INSTANCES as usize));
        let (making, vetting) = (Mutex::default(), None);
        Ok(Self {
            plain,
            concurrent,
            making,
            caches,
            vetting,
            slots,
            ticker,
            lines: Lines::default(),
            pools: BlockingPools::default(),
            budget: Budget::default(),
        })
    }

    /// Has `program`, which is soloist, compile each plugin within limits before this
    /// process does it: compiling may take for ever, or break down. With `functions` that
    /// process keeps what it compiles in that file, function by function.
    #[must_use]
    pub fn vetting_by(self, program: PathBuf, functions: Option<PathBuf>) -> Self {
        if let Some(Err(error)) = self.cache().map(artefacts::tidy) {
            warn!(%error, "the folder of compiled plugins cannot be tidied");
        }
        Self { vetting: Some(Vetting::by(program, functions)), ..self }
    }

    /// Makes sure that compiling `bytes`, the content of `file`, comes to an end.
    pub(super) fn vet(
        &self,
        craft: Craft,
        file: &Path,
        bytes: &[u8],
        sha256: &str,
    ) -> Result<(), PluginError> {
        let vetting = self.vetting.as_ref();
        vetting.map_or(Ok(()), |vetting| vetting.pass(self.note(craft, sha256), craft, file, bytes))
    }

    /// Takes note that `file` was loaded.
    pub(super) fn loaded(&self, file: &Path) {
        self.vetting.iter().for_each(|vetting| vetting.loaded(file));
    }

    /// Where it is noted that what has this digest was compiled: another place for another version
    /// of the compiler, or other settings of it.
    fn note(&self, craft: Craft, sha256: &str) -> Option<Note> {
        let mut hasher = DefaultHasher::new();
        self.plain().engine.precompile_compatibility_hash().hash(&mut hasher);
        let compiler = hasher.finish();
        let name = match craft {
            Craft::Action => format!("{sha256}-{compiler:016x}"),
            Craft::Strategy => format!("{sha256}-{compiler:016x}-strategy"),
        };
        self.cache().map(|cache| Note::new(cache, &name))
    }

    /// Whether the content of `file`, with this digest, was compiled before, and is kept.
    pub(super) fn knows(&self, file: &Path, sha256: &str) -> bool {
        self.vetting.is_some()
            && Vetting::knows(self.note(Craft::Action, sha256), Craft::Action, file)
    }

    /// Where compiled plugins are kept.
    pub(super) fn cache(&self) -> Option<&Path> {
        self.caches.folder.as_deref()
    }

    /// Puts the functions that were compiled into their file.
    pub(super) fn keep_functions(&self) -> rusqlite::Result<()> {
        self.caches.functions.as_ref().map_or(Ok(()), |functions| functions.keep())
    }

    /// Waits for the right to one more instance, of a plugin of this weight.
    pub async fn slot(&self, weight: Weight) -> Slot {
        match self.slots.clone().acquire_many_owned(weight.slots()).await {
            Ok(permit) => {
                let live = self.ticker.tick_for_one();
                Slot { _live: live, _permit: permit }
            }
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// How many instances there are.
    #[must_use]
    pub fn live(&self) -> usize {
        self.ticker.live()
    }

    /// What its instances print.
    #[must_use]
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// The threads on which its instances block.
    pub fn pools(&self) -> &BlockingPools {
        &self.pools
    }

    /// What the host may hold in its memory for others.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What instances hold of the pools, if wasmtime has any.
    #[must_use]
    pub fn pool_usage(&self) -> Option<PoolUsage> {
        let machines = std::iter::once(&self.plain).chain(self.concurrent.get());
        machines.map(usage).reduce(|one, other| Some(one?.plus(other?)))?
    }

    /// Ticks about every millisecond until the guard is dropped, so that the
    /// guests whose gate has closed are interrupted sooner.
    pub fn hurry(&self) -> Hurry {
        self.ticker.hurry()
    }

    /// What components of WASI 0.2 are compiled and linked by.
    pub(super) fn plain(&self) -> &Machine {
        &self.plain
    }

    /// What components of WASI 0.3 are compiled and linked by; it is made on demand.
    pub(super) fn concurrent(&self) -> Result<&Machine, EngineError> {
        let _making = self.making.lock();
        if let Some(machine) = self.concurrent.get() {
            return Ok(machine);
        }
        let machine = Machine::new(Wasi::V03, &self.caches)?;
        Ok(self.concurrent.get_or_init(|| machine))
    }
}

/// Where compiled plugins are kept from one start to the next (XDG Base Directory
/// Specification: `$XDG_CACHE_HOME`, else `~/.cache`); nowhere, if there is no such place.
fn cache_folder() -> Option<PathBuf> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("soloist"))
}

fn usage(machine: &Machine) -> Option<PoolUsage> {
    let metrics = machine.engine.pooling_allocator_metrics()?;
    Some(PoolUsage {
        components: metrics.component_instances(),
        cores: metrics.core_instances(),
        memories: metrics.memories(),
        tables: metrics.tables(),
        stacks: metrics.stacks(),
    })
}

impl PoolUsage {
    fn plus(self, other: Self) -> Self {
        Self {
            components: self.components + other.components,
            cores: self.cores + other.cores,
            memories: self.memories + other.memories,
            tables: self.tables + other.tables,
            stacks: self.stacks + other.stacks,
        }
    }
}
