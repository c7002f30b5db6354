//! One engine of wasmtime, with a linker for everything that its components may import.

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

/// The tables of one slot: those of a main module, and of the small modules that component tools
/// add.
const TABLES: u32 = 4;
/// The most core instances of one component instance. Components that link libraries at run time,
/// such as CPython's, have about twenty.
const CORES_MAX: u32 = 128;
/// The most slots that one instance takes.
const SLOTS_MAX: u32 = 16;
/// How many bytes of its memory a slot keeps resident after an instance has ended. Clearing them is
/// much cheaper than returning them to the kernel and faulting them in again.
const MEMORY_KEPT: usize = 512 << 10;
/// The same for a table and for a stack.
const TABLE_KEPT: usize = 64 << 10;
const STACK_KEPT: usize = 64 << 10;

/// The version of WASI that a component is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WasiVersion {
    /// 0.2: one call at a time.
    V02,
    /// 0.3: concurrent calls, streams and futures.
    V03,
}

/// An engine for components of one version of WASI. Its pool reserves address space (about 8 TiB),
/// but no memory.
pub(super) struct WasiEngine {
    pub(super) engine: wasmtime::Engine,
    pub(super) linker: Linker<GuestState>,
}

/// Where compiled code is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct CompileCaches {
    /// The folder for whole plugins.
    pub(super) folder: Option<PathBuf>,
    /// The file for single functions.
    pub(super) functions: Option<Arc<FunctionCache>>,
}

impl WasiEngine {
    /// Creates the engine and reserves the pool.
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

/// How many slots an instance takes, so that the pools always have room for whoever holds slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotCost(u32);

impl SlotCost {
    /// The cost of an instance of `component`.
    pub(super) fn of(component: &Component) -> Self {
        // `None` if a component instantiates modules that it imports; there are none of those here.
        let needs = component.resources_required();
        needs.map_or(Self(SLOTS_MAX), |needs| Self::for_parts(needs.num_memories, needs.num_tables))
    }

    fn for_parts(memories: u32, tables: u32) -> Self {
        Self(memories.max(tables.div_ceil(TABLES)).clamp(1, SLOTS_MAX))
    }

    /// The number of slots.
    pub(super) fn slots(self) -> u32 {
        self.0
    }
}

/// Every request may get a new instance, so the settings make creating and clearing instances fast:
/// a pool, and support for concurrency only where WASI 0.3 needs it. That support makes every call
/// take about 50 % longer.
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
        .max_memories_per_component(SLOTS_MAX)
        .max_tables_per_component(SLOTS_MAX * TABLES)
        .max_memory_size(MEMORY_MAX)
        .linear_memory_keep_resident(MEMORY_KEPT)
        .table_keep_resident(TABLE_KEPT)
        .async_stack_keep_resident(STACK_KEPT)
        .pagemap_scan(Enabled::Auto);
    pool
}

/// wasmtime's own cache. Its keys contain the exact version and the settings, so what another
/// version wrote is never loaded.
fn open_cache(folder: PathBuf) -> Result<Cache, EngineError> {
    // wasmtime removes files that it does not know, so it gets a folder of its own.
    let folder = cache_record::wasmtime_folder(&folder);
    let mut config = CacheConfig::new();
    // wasmtime must not recompress the artefacts, or their digests would not match their records.
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
