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

use super::{PluginError, outline::Outline, plugin_error::BoxError, world};

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
    let known = if outline.world { None } else { world::world_of(&outline) };
    if !outline.world && known.is_none() {
        check_encodable(file, &outline, program)?;
    }
    if takes_all_memory(module, &outline) {
        return Err(PluginError::TakesAllMemory { file: file.to_owned() });
    }
    encode(module, known, if program { COMMAND } else { REACTOR })
        .map_err(|source| PluginError::Lift { file: file.to_owned(), source })
}

/// Refuses a module without a world where the encoder would refuse it as well, but
/// with less to go by.
fn check_encodable(file: &Path, outline: &Outline, program: bool) -> Result<(), PluginError> {
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

/// By which the adapter asks a module for memory. It grows that of one which has none.
const REALLOC: &str = "cabi_realloc";
/// Who calls these gets lists, for which the adapter needs memory before the module may have
/// used any.
const LISTS: [&str; 4] = ["args_get", "args_sizes_get", "environ_get", "environ_sizes_get"];

/// Whether the module takes what the adapter has grown its memory by for its own: AssemblyScript's
/// allocator begins with all the memory that there is when it is first used.
fn takes_all_memory(module: &[u8], outline: &Outline) -> bool {
    let lists = |name: &String| LISTS.iter().any(|list| *name == format!("{PREVIEW_1}::{list}"));
    !outline.exports.iter().any(|name| name == REALLOC)
        && outline.imports.iter().any(lists)
        && is_assembly_script(module)
}

/// It says nothing of itself, but the names of its library's files are in its data, in UTF-16.
fn is_assembly_script(module: &[u8]) -> bool {
    let library: Vec<u8> = "~lib/".encode_utf16().flat_map(u16::to_le_bytes).collect();
    module.windows(library.len()).any(|part| part == library)
}

fn encode(module: &[u8], world: Option<&str>, adapter: &[u8]) -> Result<Vec<u8>, BoxError> {
    let module = match world {
        Some(world) => Cow::Owned(world::with_world(module, world)?),
        None => Cow::Borrowed(module),
    };
    Ok(ComponentEncoder::default().module(&module)?.adapter(PREVIEW_1, adapter)?.encode()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_takes_all_memory_is_told_from_others() {
        let library: Vec<u8> =
            "~lib/rt/tlsf.ts".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let outline = |imports: &[&str], exports: &[&str]| Outline {
            imports: imports.iter().map(|name| format!("{PREVIEW_1}::{name}")).collect(),
            exports: exports.iter().map(|name| (*name).to_owned()).collect(),
            ..Outline::default()
        };
        let reads = outline(&["fd_write", "args_sizes_get"], &["_start"]);
        assert!(takes_all_memory(&library, &reads));
        assert!(!takes_all_memory(b"another language", &reads));
        assert!(!takes_all_memory(&library, &outline(&["fd_write"], &["_start"])));
        let asks = outline(&["environ_get"], &["_start", REALLOC]);
        assert!(!takes_all_memory(&library, &asks));
    }
}
