//! One engine of wasmtime, with what its components may import.

use std::path::PathBuf;

use wasmtime::{
    Cache, CacheConfig, Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::Linker,
};

use super::engine::EngineError;
use crate::{
    capability::{self, GuestState},
    config::MEMORY_MAX,
};

/// The most instances at one time, of all plugins together. An action has 1,000
/// at most, so that one cannot starve the others.
pub(super) const INSTANCES: u32 = 2000;
/// Core instances and tables a component has on average: its main module, and
/// the small ones that component tools put around it.
const PARTS: u32 = 4;
/// What a slot keeps of its memory from one instance to the next. Clearing it
/// is much cheaper than giving it back and faulting it in again.
const MEMORY_KEPT: usize = 512 << 10;
/// The same for a table and for a stack.
const TABLE_KEPT: usize = 64 << 10;
const STACK_KEPT: usize = 64 << 10;

/// Which WASI a component is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wasi {
    /// 0.2: one call at a time.
    V02,
    /// 0.3: calls, streams and futures that run at once.
    V03,
}

/// An engine for the components of one WASI. Its pool reserves address space
/// (about 8 TiB) and no memory.
pub(super) struct Machine {
    pub(super) engine: wasmtime::Engine,
    pub(super) linker: Linker<GuestState>,
}

impl Machine {
    /// Reserves the pool. With `cache`, compiled plugins are kept in that folder.
    pub(super) fn new(wasi: Wasi, cache: Option<PathBuf>) -> Result<Self, EngineError> {
        let mut config = config(wasi);
        config.cache(cache.map(open_cache).transpose()?);
        let engine = wasmtime::Engine::new(&config)
            .map_err(|source| EngineError::Pool { source: source.into() })?;
        let linker = match wasi {
            Wasi::V02 => capability::linker(&engine),
            Wasi::V03 => capability::linker_of_both(&engine),
        };
        let linker = linker.map_err(|source| EngineError::Linker { source: source.into() })?;
        Ok(Self { engine, linker })
    }
}

/// Instances are made anew for each request, so what makes and clears them
/// quickly is chosen: a pool, and support for concurrency only where WASI 0.3
/// needs it. It makes every call about half as fast again.
fn config(wasi: Wasi) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(wasi == Wasi::V03)
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
