//! The engine: compiles plugins, and limits how many instances exist.
//!
//! It wraps two engines of wasmtime, since support for the concurrency of WASI 0.3 would slow down
//! components of 0.2. Both share the instance slots and the epoch ticker. The second one is created
//! when the first component of 0.3 is loaded.

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

/// The running program, even after an upgrade has replaced the file (proc(5)).
const THIS_PROGRAM: &str = "/proc/self/exe";

/// The right to create one instance: the pools have room for everybody who holds one.
#[derive(Debug)]
pub struct InstanceSlot {
    _live: LiveInstance,
    _permit: OwnedSemaphorePermit,
}

/// How much of the pools all instances use at this moment.
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

/// The engine of the process. There is one for all plugins.
pub struct PluginEngine {
    wasi_0_2: WasiEngine,
    wasi_0_3: Arc<OnceLock<WasiEngine>>,
    /// Held while the second engine is created, so that this happens once.
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
    /// Reserves the pool and starts the epoch ticker. With `cache`, compiled plugins are kept in
    /// that folder, so that the next start is quick.
    ///
    /// # Errors
    /// When the machine does not give what the engine needs.
    pub fn new(cache: Option<PathBuf>) -> Result<Self, EngineError> {
        Self::with(CompileCaches { folder: cache, functions: None })
    }

    /// The engine of a host: plugins are compiled by this program in a separate process, as with
    /// [`with_vetting`](Self::with_vetting), and cached for all hosts of this user.
    ///
    /// # Errors
    /// When the machine does not give what the engine needs.
    pub fn for_this_program(functions: Option<PathBuf>) -> Result<Self, EngineError> {
        Ok(Self::new(cache_folder())?.with_vetting(THIS_PROGRAM.into(), functions))
    }

    /// Like [`new`](Self::new), with a cache of single functions in the file `functions`. Newly
    /// compiled functions are added to the file by `keep_functions`.
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

    /// Compiles each plugin in a separate process of `program`, which is soloist, before this
    /// process does so: compiling may take for ever, or crash. With `functions`, that process keeps
    /// what it compiles in this file, function by function.
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
        target: CompileTarget,
        file: &Path,
        bytes: &[u8],
        sha256: &str,
    ) -> Result<(), PluginError> {
        let vetting = self.vetting.as_ref();
        vetting.map_or(Ok(()), |vetting| {
            vetting.check(self.cache_record(target, sha256), target, file, bytes)
        })
    }

    /// Reports to the vetting that `file` was loaded.
    pub(super) fn note_loaded(&self, file: &Path) {
        self.vetting.iter().for_each(|vetting| vetting.log_compiled(file));
    }

    /// The cache record of the content with this digest. Another version of the compiler, or other
    /// settings of it, have another record.
    fn cache_record(&self, target: CompileTarget, sha256: &str) -> Option<CacheRecord> {
        let mut hasher = DefaultHasher::new();
        self.wasi_0_2().engine.precompile_compatibility_hash().hash(&mut hasher);
        let compiler = hasher.finish();
        let name = match target {
            CompileTarget::Action => format!("{sha256}-{compiler:016x}"),
            CompileTarget::Strategy => format!("{sha256}-{compiler:016x}-strategy"),
        };
        self.cache().map(|cache| CacheRecord::new(cache, &name))
    }

    /// Whether the content of `file`, with this digest, is in the compile cache.
    pub(super) fn is_compiled(&self, file: &Path, sha256: &str) -> bool {
        self.vetting.is_some()
            && Vetting::is_compiled(
                self.cache_record(CompileTarget::Action, sha256),
                CompileTarget::Action,
                file,
            )
    }

    /// The folder of the compile cache.
    pub(super) fn cache(&self) -> Option<&Path> {
        self.caches.folder.as_deref()
    }

    /// Writes newly compiled functions to their file.
    pub(super) fn keep_functions(&self) -> rusqlite::Result<()> {
        self.caches.functions.as_ref().map_or(Ok(()), |functions| functions.store())
    }

    /// Waits for the right to one more instance, which takes as many slots as `cost` says.
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

    /// How many instances exist.
    #[must_use]
    pub fn live_instances(&self) -> usize {
        self.ticker.live_instances()
    }

    /// The latest lines that instances have printed.
    #[must_use]
    pub fn log_buffers(&self) -> &LogBuffers {
        &self.log_buffers
    }

    /// The threads on which instances block.
    pub fn blocking_pools(&self) -> &BlockingPools {
        &self.blocking_pools
    }

    /// The memory that the host may hold for guests and clients.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How much of the pools all instances use; `None` without pools.
    #[must_use]
    pub fn pool_usage(&self) -> Option<PoolUsage> {
        let machines = std::iter::once(&self.wasi_0_2).chain(self.wasi_0_3.get());
        machines.map(usage).reduce(|one, other| Some(one?.plus(other?)))?
    }

    /// Ticks about every millisecond until the guard is dropped, so that guests whose gate has
    /// closed are interrupted sooner.
    pub fn tick_fast(&self) -> FastTicks {
        self.ticker.tick_fast()
    }

    /// Compiles and links components of WASI 0.2.
    pub(super) fn wasi_0_2(&self) -> &WasiEngine {
        &self.wasi_0_2
    }

    /// Compiles and links components of WASI 0.3. Created on demand.
    pub(super) fn wasi_0_3(&self) -> Result<&WasiEngine, EngineError> {
        let _making = self.making.lock();
        if let Some(machine) = self.wasi_0_3.get() {
            return Ok(machine);
        }
        let machine = WasiEngine::new(WasiVersion::V03, &self.caches)?;
        Ok(self.wasi_0_3.get_or_init(|| machine))
    }
}

/// Where compiled plugins are kept from one start to the next (XDG Base Directory Specification:
/// `$XDG_CACHE_HOME`, else `~/.cache`); `None` if neither is set.
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
