//! From a core module to a component.
//!
//! Many compilers end at a core module for WASI preview 1: `GOOS=wasip1 go
//! build`, `clang --target=wasm32-wasi`. It is lifted on load, with the adapter
//! that wasmtime's makers publish, which carries each call of preview 1 over to
//! WASI 0.2. A module with a WIT world in it, as `wit-bindgen` leaves one for C,
//! becomes a component of that world; one without is taken for what its exports
//! say (`world.rs`).
//!
//! Invariants:
//! - Nothing but a valid module reaches the encoder.
//! - The same module is lifted to the same bytes, so that the compile cache
//!   knows them again.

use std::{borrow::Cow, path::Path};

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW_1,
    WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER as COMMAND,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as REACTOR,
};
use wasmparser::Validator;
use wit_component::ComponentEncoder;

use super::{PluginError, error::Cause, outline::Outline, world};

/// The export that makes a module a program.
const START: &str = "_start";

/// The component that the core module `module`, the content of `file`, is lifted to.
///
/// # Errors
/// Where it is damaged, imports what no adapter has, or has nothing to enter it by.
pub(super) fn lift(file: &Path, module: &[u8]) -> Result<Vec<u8>, PluginError> {
    let damaged = |error: wasmparser::Error| PluginError::Compile {
        file: file.to_owned(),
        source: error.into(),
    };
    Validator::new().validate_all(module).map_err(damaged)?;
    let outline = Outline::read(module).map_err(damaged)?;
    let program = outline.exports.iter().any(|name| name == START);
    let known = if outline.world { None } else { world::of(&outline) };
    if !outline.world && known.is_none() {
        check(file, &outline, program)?;
    }
    encode(module, known, if program { COMMAND } else { REACTOR })
        .map_err(|source| PluginError::Lift { file: file.to_owned(), source })
}

/// Refuses a module without a world where the encoder would refuse it as well, but
/// with less to go by.
fn check(file: &Path, outline: &Outline, program: bool) -> Result<(), PluginError> {
    let preview_1 = format!("{PREVIEW_1}::");
    let foreign = outline.imports.iter().filter(|name| !name.starts_with(&preview_1));
    let imports: Vec<_> = foreign.cloned().collect();
    if !imports.is_empty() {
        return Err(PluginError::ModuleImports { file: file.to_owned(), imports });
    }
    if !program {
        return Err(PluginError::NoStart { file: file.to_owned() });
    }
    Ok(())
}

fn encode(module: &[u8], world: Option<&str>, adapter: &[u8]) -> Result<Vec<u8>, Cause> {
    let module = match world {
        Some(world) => Cow::Owned(world::named(module, world)?),
        None => Cow::Borrowed(module),
    };
    Ok(ComponentEncoder::default().module(&module)?.adapter(PREVIEW_1, adapter)?.encode()?)
}
