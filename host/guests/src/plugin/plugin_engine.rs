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
    cache_record::{self, CacheRecord},
    function_cache::FunctionCache,
    instance_limit::INSTANCES,
    ticker::{FastTicks, LiveInstance, Ticker},
    vetting::{CompileTarget, Vetting},
    wasi_engine::{CompileCaches, SlotCost, WasiEngine, WasiVersion},
};
use crate::capability::{BlockingPools, LogBuffers};
use soloist_resources::budget::Budget;

/// The program that runs, even if an upgrade has put another in its place (proc(5)).
const THIS_PROGRAM: &str = "/proc/self/exe";

/// The right to one instance. Whoever holds one may instantiate: the pools have what it
/// takes.
#[derive(Debug)]
pub struct InstanceSlot {
    _live: LiveInstance,
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
pub struct PluginEngine {
    wasi_0_2: WasiEngine,
    wasi_0_3: Arc<OnceLock<WasiEngine>>,
    /// Held while the second one is made, so that it is made once.
    making: Mutex<()>,
    caches: CompileCaches,
    vetting: Option<Vetting>,
    slots: Arc<Semaphore>,
    ticker: Ticker,
    log_buffers: LogBuffers,
    blocking_pools: BlockingPools,
    budget: Budget,
}

impl PluginEngine {
    /// Reserves the pool and starts the ticking of epochs. With `cache`,
    /// compiled plugins are kept in that folder, so that the next start is quick.
    ///
    /// # Errors
    /// When the machine does not give what the engine needs.
    pub fn new(cache: Option<PathBuf>) -> Result<Self, EngineError> {
        Self::with(CompileCaches { folder: cache, functions: None })
    }

    /// The engine of this user's hosts: what it compiles is compiled by this program within limits,
    /// as [`vetting_by`](Self::vetting_by) has it, and kept for all of them.
    ///
    /// # Errors
    /// When the machine does not give what the engine needs.
    pub fn for_this_program(functions: Option<PathBuf>) -> Result<Self, EngineError> {
        Ok(Self::new(cache_folder())?.with_vetting(THIS_PROGRAM.into(), functions))
    }

    /// The same as [`new`](Self::new), which takes functions from the file `functions`, and puts
    /// there what it compiles, when it is asked to keep them.
    pub fn with_functions(cache: Option<PathBuf>, functions: &Path) -> Result<Self, EngineError> {
        let opened = FunctionCache::open(functions);
        let opened = opened.map_err(|source| EngineError::Cache {
            folder: functions.to_owned(),
            source: source.into(),
        })?;
        Self::with(CompileCaches { folder: cache, functions: Some(opened.into()) })
    }

    fn with(caches: CompileCaches) -> Result<Self, EngineError> {
        let plain = WasiEngine::new(WasiVersion::V02, &caches)?;
        let concurrent = Arc::<OnceLock<WasiEngine>>::default();
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
            wasi_0_2: plain,
            wasi_0_3: concurrent,
            making,
            caches,
            vetting,
            slots,
            ticker,
            log_buffers: LogBuffers::default(),
            blocking_pools: BlockingPools::default(),
            budget: Budget::default(),
        })
    }

    /// Has `program`, which is soloist, compile each plugin within limits before this
    /// process does it: compiling may take for ever, or break down. With `functions` that
    /// process keeps what it compiles in that file, function by function.
    #[must_use]
    pub fn with_vetting(self, program: PathBuf, functions: Option<PathBuf>) -> Self {
        if let Some(Err(error)) = self.cache().map(cache_record::clean_up) {
            warn!(%error, "the folder of compiled plugins cannot be tidied");
        }
        Self { vetting: Some(Vetting::new(program, functions)), ..self }
    }

    /// Makes sure that compiling `bytes`, the content of `file`, comes to an end.
    pub(super) fn vet(
        &self,
        craft: CompileTarget,
        file: &Path,
        bytes: &[u8],
        sha256: &str,
    ) -> Result<(), PluginError> {
        let vetting = self.vetting.as_ref();
        vetting.map_or(Ok(()), |vetting| {
            vetting.check(self.cache_record(craft, sha256), craft, file, bytes)
        })
    }

    /// Takes note that `file` was loaded.
    pub(super) fn note_loaded(&self, file: &Path) {
        self.vetting.iter().for_each(|vetting| vetting.log_compiled(file));
    }

    /// Where it is noted that what has this digest was compiled: another place for another version
    /// of the compiler, or other settings of it.
    fn cache_record(&self, craft: CompileTarget, sha256: &str) -> Option<CacheRecord> {
        let mut hasher = DefaultHasher::new();
        self.wasi_0_2().engine.precompile_compatibility_hash().hash(&mut hasher);
        let compiler = hasher.finish();
        let name = match craft {
            CompileTarget::Action => format!("{sha256}-{compiler:016x}"),
            CompileTarget::Strategy => format!("{sha256}-{compiler:016x}-strategy"),
        };
        self.cache().map(|cache| CacheRecord::new(cache, &name))
    }

    /// Whether the content of `file`, with this digest, was compiled before, and is kept.
    pub(super) fn is_compiled(&self, file: &Path, sha256: &str) -> bool {
        self.vetting.is_some()
            && Vetting::is_compiled(
                self.cache_record(CompileTarget::Action, sha256),
                CompileTarget::Action,
                file,
            )
    }

    /// Where compiled plugins are kept.
    pub(super) fn cache(&self) -> Option<&Path> {
        self.caches.folder.as_deref()
    }

    /// Puts the functions that were compiled into their file.
    pub(super) fn keep_functions(&self) -> rusqlite::Result<()> {
        self.caches.functions.as_ref().map_or(Ok(()), |functions| functions.store())
    }

    /// Waits for the right to one more instance, of a plugin of this weight.
    pub async fn slot(&self, weight: SlotCost) -> InstanceSlot {
        match self.slots.clone().acquire_many_owned(weight.slots()).await {
            Ok(permit) => {
                let live = self.ticker.add_instance();
                InstanceSlot { _live: live, _permit: permit }
            }
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// How many instances there are.
    #[must_use]
    pub fn live_instances(&self) -> usize {
        self.ticker.live_instances()
    }

    /// What its instances print.
    #[must_use]
    pub fn lines(&self) -> &LogBuffers {
        &self.log_buffers
    }

    /// The threads on which its instances block.
    pub fn blocking_pools(&self) -> &BlockingPools {
        &self.blocking_pools
    }

    /// What the host may hold in its memory for others.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What instances hold of the pools, if wasmtime has any.
    #[must_use]
    pub fn pool_usage(&self) -> Option<PoolUsage> {
        let machines = std::iter::once(&self.wasi_0_2).chain(self.wasi_0_3.get());
        machines.map(usage).reduce(|one, other| Some(one?.plus(other?)))?
    }

    /// Ticks about every millisecond until the guard is dropped, so that the
    /// guests whose gate has closed are interrupted sooner.
    pub fn tick_fast(&self) -> FastTicks {
        self.ticker.tick_fast()
    }

    /// What components of WASI 0.2 are compiled and linked by.
    pub(super) fn wasi_0_2(&self) -> &WasiEngine {
        &self.wasi_0_2
    }

    /// What components of WASI 0.3 are compiled and linked by; it is made on demand.
    pub(super) fn wasi_0_3(&self) -> Result<&WasiEngine, EngineError> {
        let _making = self.making.lock();
        if let Some(machine) = self.wasi_0_3.get() {
            return Ok(machine);
        }
        let machine = WasiEngine::new(WasiVersion::V03, &self.caches)?;
        Ok(self.wasi_0_3.get_or_init(|| machine))
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

fn usage(machine: &WasiEngine) -> Option<PoolUsage> {
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
