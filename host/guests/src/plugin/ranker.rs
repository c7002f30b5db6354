//! A strategy that is a plugin: it ranks the candidates of a group.
//!
//! It runs in an engine of its own. Each call gets a fresh instance, and every import traps, so
//! that the result depends only on the arguments. The limit is a number of instructions and not a
//! time, so that all hosts get the same result.

use std::path::Path;

use wasmtime::{
    Config, Engine, Store, StoreLimits, StoreLimitsBuilder,
    component::{Component, Linker},
};

use super::{
    PluginError, digest::sha256, load::read_plugin, outline::Outline, recognise::as_component,
    vetting::CompileTarget, wit_changes,
};
use soloist_text::with_causes;

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "soloist:plugin/strategy-plugin",
        additional_derives: [PartialEq, Eq],
    });
}

pub use bindings::exports::soloist::plugin::strategy::Candidate as RankCandidate;
use bindings::{StrategyPlugin, StrategyPluginPre};

/// The most instructions of one call (wasmtime: `Config::consume_fuel`): a fraction of a second,
/// and thousands for each of a thousand candidates.
const FUEL: u64 = 50_000_000;
/// The memory of one call, in bytes.
const MEMORY: usize = 32 << 20;

/// A plugin that exports `soloist:plugin/strategy`.
pub struct Ranker {
    engine: Engine,
    entry: StrategyPluginPre<StoreLimits>,
}

impl Ranker {
    /// Loads the component at `file`, after `engine` has checked that compiling it comes to an end.
    /// This blocks.
    ///
    /// # Errors
    /// When it is not such a component.
    pub fn load(vetting: &super::PluginEngine, file: &Path) -> Result<Self, PluginError> {
        let bytes = read_plugin(file)?;
        vetting.vet(CompileTarget::Strategy, file, &bytes, &sha256(&bytes))?;
        let ranker = Self::from_bytes(file, &bytes)?;
        vetting.note_loaded(file);
        Ok(ranker)
    }

    /// Loads `bytes`, the content of `file`, without vetting.
    pub(super) fn from_bytes(file: &Path, bytes: &[u8]) -> Result<Self, PluginError> {
        let mut config = Config::new();
        config.consume_fuel(true);
        let failed = |source: wasmtime::Error| PluginError::Compile {
            file: file.to_owned(),
            source: source.into(),
        };
        let engine = Engine::new(&config).map_err(failed)?;
        let bytes = as_component(file, bytes)?;
        let component = Component::new(&engine, &bytes).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&component).map_err(failed)?;
        let entry = linker.instantiate_pre(&component).and_then(StrategyPluginPre::new);
        let entry = entry.map_err(|_| match wit_changes::of_component(&bytes) {
            changes if changes.is_empty() => PluginError::NoStrategy {
                file: file.to_owned(),
                exports: Outline::read(&bytes).map(|outline| outline.exports).unwrap_or_default(),
            },
            changes => PluginError::Interfaces { file: file.to_owned(), changes },
        })?;
        Ok(Self { engine, entry })
    }

    /// The names of `candidates`, the preferred leader first.
    ///
    /// # Errors
    /// A description of how the plugin failed.
    pub fn rank(&self, group: &str, candidates: &[RankCandidate]) -> Result<Vec<String>, String> {
        let limits = StoreLimitsBuilder::new().memory_size(MEMORY).instances(128).build();
        let mut store = Store::new(&self.engine, limits);
        store.limiter(|limits| limits);
        let ranked = store.set_fuel(FUEL).and_then(|()| {
            let plugin: StrategyPlugin = self.entry.instantiate(&mut store)?;
            plugin.soloist_plugin_strategy().call_rank(&mut store, group, candidates)
        });
        ranked.map_err(|error| with_causes(error.as_ref()))
    }
}
