//! `wasi:config`: shows a plugin the `config` of its settings.
//!
//! Secrets are not part of it, they are environment variables (`wasi.rs`): a plugin that publishes
//! its configuration does not publish its secrets.

use wasmtime::component::Linker;
use wasmtime_wasi_config::{WasiConfig, WasiConfigVariables};

use soloist_config::Grants;

/// The variables that `grants` contain.
pub(crate) fn variables(grants: &Grants) -> WasiConfigVariables {
    grants.config.clone().into_iter().collect()
}

/// Adds the interface to `linker`.
pub(crate) fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> WasiConfig<'_>,
) -> wasmtime::Result<()> {
    wasmtime_wasi_config::add_to_linker(linker, view)
}
