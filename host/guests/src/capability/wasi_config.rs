//! `wasi:config`: what `config` in the settings tells the plugin.
//!
//! Secrets are not among it: they are part of the environment (`wasi.rs`), so
//! that a plugin which hands its settings on does not hand them on as well.

use wasmtime::component::Linker;
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};

use super::GuestState;
use soloist_config::Grants;

/// The settings that `grants` tell of.
pub(crate) fn variables(grants: &Grants) -> WasiConfigVariables {
    grants.config.clone().into_iter().collect()
}

/// Offers the interface to the components that `linker` links.
pub(crate) fn add_to_linker(
    linker: &mut Linker<GuestState>,
    view: fn(&mut GuestState) -> WasiConfig<'_>,
) -> wasmtime::Result<()> {
    wasmtime_wasi_config::add_to_linker(linker, view)
}
