//! The engine: compiles plugins and holds the pool of their instances.

use std::{path::PathBuf, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::Linker,
};

use super::ticker::{Hurry, Ticker};
use crate::capability::{self, GuestState};

/// The most instances at one time, of all plugins together. An action has 1,000
/// at most, so that one cannot starve the others.
const INSTANCES: u32 = 2000;
/// Core instances and tables a component has on average: its main module, and
/// the small ones that component tools put around it.
const PARTS: u32 = 4;
/// The largest linear memory. An instance is held to less (see the limits of
/// `capability`); this is what the pool can give at all.
const MEMORY_MAX: usize = 1 << 30;
/// What a slot keeps of its memory from one instance to the next. Clearing it
/// is much cheaper than giving it back and faulting it in again.
const MEMORY_KEPT: usize = 512 << 10;
/// The same for a table and for a stack.
const TABLE_KEPT: usize = 64 << 10;
const STACK_KEPT: usize = 64 << 10;

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The folder of the compile cache cannot be used.
    #[error(
        "cannot keep compiled plugins in {folder}: make it a folder that this user may write to, or choose another with XDG_CACHE_HOME (an absolute path)"
    )]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The pool could not be reserved.
    #[error(
        "cannot reserve the address space for {INSTANCES} instances (about 8 TiB, which takes no memory): lift the limit on virtual memory (`ulimit -v unlimited`, or LimitAS= of systemd)"
    )]
    Pool {
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What plugins may import could not be put together; this is a fault of soloist's.
    #[error("cannot offer plugins their imports; please report this")]
    Linker {
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The thread that interrupts guests could not be started.
    #[error(
        "cannot start the thread that interrupts guests: lift the limit on threads (`ulimit -u`)"
    )]
    Ticker {
        /// Why not.
        source: std::io::Error,
    },
}

/// The right to one instance. Whoever holds one may instantiate.
#[derive(Debug)]
pub struct Slot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// What instances hold of the pool at one moment.
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

/// The engine of the process, for components of WASI 0.2.
pub struct Engine {
    inner: wasmtime::Engine,
    linker: Linker<GuestState>,
    slots: Arc<Semaphore>,
    ticker: Ticker,
}

impl Engine {
    /// Reserves the pool and starts the ticking of epochs. With `cache`,
    /// compiled plugins are kept in that folder, so that the next start is quick.
    ///
    /// # Errors
    /// When the machine does not give what the engine needs.
    pub fn new(cache: Option<PathBuf>) -> Result<Self, EngineError> {
        let mut config = config();
        config.cache(cache.map(open_cache).transpose()?);
        let inner = wasmtime::Engine::new(&config)
            .map_err(|source| EngineError::Pool { source: source.into() })?;
        let linker = capability::linker(&inner)
            .map_err(|source| EngineError::Linker { source: source.into() })?;
        let ticker =
            Ticker::start(inner.clone()).map_err(|source| EngineError::Ticker { source })?;
        let slots = Arc::new(Semaphore::new(INSTANCES as usize));
        Ok(Self { inner, linker, slots, ticker })
    }

    /// Waits for the right to one more instance.
    pub async fn slot(&self) -> Slot {
        match self.slots.clone().acquire_owned().await {
            Ok(permit) => Slot(permit),
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// How many instances there are.
    #[must_use]
    pub fn live(&self) -> usize {
        INSTANCES as usize - self.slots.available_permits()
    }

    /// What instances hold of the pool, if wasmtime has one.
    #[must_use]
    pub fn pool_usage(&self) -> Option<PoolUsage> {
        let metrics = self.inner.pooling_allocator_metrics()?;
        Some(PoolUsage {
            components: metrics.component_instances(),
            cores: metrics.core_instances(),
            memories: metrics.memories(),
            tables: metrics.tables(),
            stacks: metrics.stacks(),
        })
    }

    /// Ticks about every millisecond until the guard is dropped, so that the
    /// guests whose gate has closed are interrupted sooner.
    pub fn hurry(&self) -> Hurry {
        self.ticker.hurry()
    }

    /// The engine underneath.
    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner
    }

    /// Everything that plugins may import.
    pub(crate) fn linker(&self) -> &Linker<GuestState> {
        &self.linker
    }
}

/// Instances are made anew for each request, so what makes and clears them
/// quickly is chosen: a pool, and no support for the concurrency of WASI 0.3.
fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_memories(INSTANCES)
        .total_stacks(INSTANCES)
        .total_core_instances(INSTANCES * PARTS)
        .total_tables(INSTANCES * PARTS)
        .max_memory_size(MEMORY_MAX)
        .linear_memory_keep_resident(MEMORY_KEPT)
        .table_keep_resident(TABLE_KEPT)
        .async_stack_keep_resident(STACK_KEPT)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// wasmtime's own cache: its keys hold the exact version and the settings, so
/// what another version wrote is never loaded.
fn open_cache(folder: PathBuf) -> Result<Cache, EngineError> {
    let mut config = CacheConfig::new();
    config.with_directory(&folder);
    Cache::new(config).map_err(|source| EngineError::Cache { folder, source: source.into() })
}
