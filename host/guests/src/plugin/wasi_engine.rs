//! One engine of wasmtime, with what its components may import.

use std::{path::PathBuf, sync::Arc};

use wasmtime::{
    Cache, CacheConfig, Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{Component, Linker},
};

use super::{
    cache_record, engine_error::EngineError, function_cache::FunctionCache,
    instance_limit::INSTANCES,
};
use crate::capability::{self, GuestState};
use soloist_config::MEMORY_MAX;

/// The tables that a slot holds: those of a main module, and of the small ones that
/// component tools put around it.
const TABLES: u32 = 4;
/// The most core instances of one instance; libraries that are linked at run time, as
/// CPython's are, make some twenty.
const CORES_MAX: u32 = 128;
/// The most slots that one instance takes.
const WEIGHT_MAX: u32 = 16;
/// What a slot keeps of its memory from one instance to the next. Clearing it
/// is much cheaper than giving it back and faulting it in again.
const MEMORY_KEPT: usize = 512 << 10;
/// The same for a table and for a stack.
const TABLE_KEPT: usize = 64 << 10;
const STACK_KEPT: usize = 64 << 10;

/// Which WASI a component is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WasiVersion {
    /// 0.2: one call at a time.
    V02,
    /// 0.3: calls, streams and futures that run at once.
    V03,
}

/// An engine for the components of one WASI. Its pool reserves address space
/// (about 8 TiB) and no memory.
pub(super) struct WasiEngine {
    pub(super) engine: wasmtime::Engine,
    pub(super) linker: Linker<GuestState>,
}

/// Where what was compiled is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct CompileCaches {
    /// The folder of whole plugins.
    pub(super) folder: Option<PathBuf>,
    /// Their functions, one by one.
    pub(super) functions: Option<Arc<FunctionCache>>,
}

impl WasiEngine {
    /// Reserves the pool.
    pub(super) fn new(wasi: WasiVersion, caches: &CompileCaches) -> Result<Self, EngineError> {
        let mut config = config(wasi);
        config.cache(caches.folder.clone().map(open_cache).transpose()?);
        if let Some(functions) = &caches.functions {
            config
                .enable_incremental_compilation(Arc::clone(functions) as _)
                .map_err(|source| EngineError::Pool { source: source.into() })?;
        }
        let engine = wasmtime::Engine::new(&config)
            .map_err(|source| EngineError::Pool { source: source.into() })?;
        let linker = match wasi {
            WasiVersion::V02 => capability::linker(&engine),
            WasiVersion::V03 => capability::linker_of_both(&engine),
        };
        let linker = linker.map_err(|source| EngineError::Linker { source: source.into() })?;
        Ok(Self { engine, linker })
    }
}

/// How many slots an instance takes, so that the pools never run short of what a slot
/// was given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotCost(u32);

impl SlotCost {
    /// Of the instances of `component`.
    pub(super) fn of(component: &Component) -> Self {
        // Nothing, where a component is made of modules that it imports; there are none.
        let needs = component.resources_required();
        needs
            .map_or(Self(WEIGHT_MAX), |needs| Self::for_parts(needs.num_memories, needs.num_tables))
    }

    fn for_parts(memories: u32, tables: u32) -> Self {
        Self(memories.max(tables.div_ceil(TABLES)).clamp(1, WEIGHT_MAX))
    }

    /// The slots.
    pub(super) fn slots(self) -> u32 {
        self.0
    }
}

/// Instances are made anew for each request, so what makes and clears them
/// quickly is chosen: a pool, and support for concurrency only where WASI 0.3
/// needs it. It makes every call about half as fast again.
fn config(wasi: WasiVersion) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(wasi == WasiVersion::V03)
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
        .total_core_instances(INSTANCES * CORES_MAX)
        .total_tables(INSTANCES * TABLES)
        .max_core_instances_per_component(CORES_MAX)
        .max_memories_per_component(WEIGHT_MAX)
        .max_tables_per_component(WEIGHT_MAX * TABLES)
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
    // It removes what it does not know, so the folder is its own.
    let folder = cache_record::wasmtime_folder(&folder);
    let mut config = CacheConfig::new();
    // What is there stays as it was put there, or it could not be known again.
    config.with_directory(&folder).with_optimized_compression_usage_counter_threshold(u64::MAX);
    Cache::new(config).map_err(|source| EngineError::Cache { folder, source: source.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_one_memory_and_its_tables() {
        let weights = [(0, 0), (1, 4), (1, 5), (3, 1), (1, 64)];
        let weights =
            weights.map(|(memories, tables)| SlotCost::for_parts(memories, tables).slots());
        assert_eq!(weights, [1, 1, 2, 3, 16]);
    }
}
