//! Lifts a core module to a component.
//!
//! Many compilers produce a core module for WASI preview 1: `GOOS=wasip1 go build`, `clang
//! --target=wasm32-wasi`. It is lifted when it is loaded, with the adapter of the wasmtime project,
//! which translates each call of preview 1 to WASI 0.2. A module that carries a WIT world, as
//! `wit-bindgen` makes them for C, becomes a component of that world. For a module without one, the
//! world is derived from its exports (`world.rs`), and it has to say for which interfaces of soloist
//! it was built, since its types do not show it.
//!
//! Invariants:
//! - Only valid modules reach the encoder.
//! - Lifting is deterministic: the same module gives the same bytes, so that the compile cache
//!   finds them again.

use std::{borrow::Cow, path::Path};

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW_1,
    WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER as COMMAND,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as REACTOR,
};
use wasmparser::Validator;
use wit_component::ComponentEncoder;

use super::{PluginError, outline::Outline, plugin_error::BoxError, wit_changes, world};

/// The export that makes a module a program.
const START: &str = "_start";

/// Lifts the core module `module`, the content of `file`, to a component.
///
/// # Errors
/// When it is damaged, imports something that the adapter lacks, or has no entry point.
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
    if known.is_some() && world::hides_its_interfaces(&outline) {
        return Err(other_interfaces(file, &outline));
    }
    if takes_all_memory(module, &outline) {
        return Err(PluginError::TakesAllMemory { file: file.to_owned() });
    }
    encode(module, known, if program { COMMAND } else { REACTOR }).map_err(|source| {
        match wit_changes::of_module(&outline) {
            changes if changes.is_empty() => PluginError::Lift { file: file.to_owned(), source },
            changes => PluginError::Interfaces { file: file.to_owned(), changes },
        }
    })
}

/// The refusal of a module without a world that was built before its bindings said for which
/// interfaces.
fn other_interfaces(file: &Path, outline: &Outline) -> PluginError {
    let mut changes = wit_changes::of_module(outline);
    if changes.is_empty() {
        changes.push(
            "its bindings do not say for which version they were made, so the fields of \
                      its records may differ"
                .to_owned(),
        );
    }
    PluginError::Interfaces { file: file.to_owned(), changes }
}

/// Refuses a module without a world that the encoder would refuse as well, with a better error.
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

/// The export through which the adapter allocates memory in a module. Without it, the adapter grows
/// the module's memory.
const REALLOC: &str = "cabi_realloc";
/// Functions that return lists. The adapter allocates memory for them, possibly before the module
/// has used its own allocator.
const LIST_FUNCTIONS: [&str; 4] =
    ["args_get", "args_sizes_get", "environ_get", "environ_sizes_get"];

/// Whether the module would overwrite memory of the adapter: when AssemblyScript's allocator is
/// first used, it takes all memory that exists, including what the adapter has grown it by.
fn takes_all_memory(module: &[u8], outline: &Outline) -> bool {
    let lists =
        |name: &String| LIST_FUNCTIONS.iter().any(|list| *name == format!("{PREVIEW_1}::{list}"));
    !outline.exports.iter().any(|name| name == REALLOC)
        && outline.imports.iter().any(lists)
        && is_assembly_script(module)
}

/// AssemblyScript leaves no producer information, but its data contains the file names of its
/// library in UTF-16.
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
