//! Core modules become components when they are loaded.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use soloist::action::Action;
use soloist_guests::plugin::{INTERFACES_EXPORT, Plugin, PluginEngine, PluginError};
use soloist_heart::clock::BootTime;
use wasm_encoder::{Instruction, ValType};
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::{
    log::Log,
    module::{ModuleParts, PREVIEW_1, SPIN, file_in, program},
    refused::refusal_of,
    rig::{RunningAction, config, free_address, gate, until},
};

/// A module that exports `wasi:cli/run` as `wit-bindgen` writes it, with its world.
fn reactor() -> Vec<u8> {
    let mut module = ModuleParts {
        exports: &["wasi:cli/run@0.2.0#run"],
        code: &[Instruction::I32Const(0)],
        results: &[ValType::I32],
        ..ModuleParts::default()
    }
    .assemble();
    let wit = "package wasi:cli@0.2.0;
        interface run { run: func() -> result; }
        world program { export run; }";
    let mut resolve = Resolve::default();
    let package = resolve.push_str("cli.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("program")).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_of_preview_1_runs_and_is_stopped() {
    let log = Log::of_all();
    let folder = tempfile::tempdir().unwrap();
    let file = file_in(folder.path(), &program("straight from the compiler\n", &SPIN));
    let engine = PluginEngine::new(None).unwrap().into();
    let action = Action::prepare(&config(file, free_address()), &engine).unwrap();
    assert_eq!(action.kinds().to_string(), "service");
    let rig = RunningAction::start((engine, action), gate(1, BootTime::NEVER));
    until("it prints", || log.text().contains("straight from the compiler")).await;
    rig.stop().await;
}

#[test]
fn the_digest_is_the_files_and_the_cache_knows_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let bytes = program("once", &[]);
    let file = file_in(folder.path(), &bytes);
    let load = || {
        let engine = PluginEngine::new(Some(cache.clone())).unwrap();
        let plugin = Plugin::load(&engine, &file).unwrap();
        let digest: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(**plugin.sha256(), digest);
        artefacts(&cache)
    };
    let first = load();
    assert_eq!(first, 1);
    assert_eq!(load(), first, "it was compiled again");
}

/// How many compiled components are in `folder` and below.
fn artefacts(folder: &Path) -> usize {
    let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let count = |path: PathBuf| match path.is_dir() {
        true => artefacts(&path),
        // Next to each, the cache keeps when it was last used.
        false => usize::from(path.extension().is_none()),
    };
    entries.map(count).sum()
}

#[test]
fn a_module_with_a_world_becomes_a_component_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = file_in(folder.path(), &reactor());
    let plugin = Plugin::load(&PluginEngine::new(None).unwrap(), &file).unwrap();
    assert_eq!(plugin.kinds().to_string(), "service");
}

/// As Go's linker makes them: without a world.
#[test]
fn a_module_without_a_world_says_for_which_interfaces_it_was_built() {
    const RUN: &str = "wasi:cli/run@0.2.12#run";
    let folder = tempfile::tempdir().unwrap();
    let engine = PluginEngine::new(None).unwrap();
    let load = |imports, exports| {
        let (code, results) = ([Instruction::I32Const(0)], [ValType::I32]);
        let parts =
            ModuleParts { imports, exports, code: &code, results: &results, ..Default::default() };
        Plugin::load(&engine, &file_in(folder.path(), &parts.assemble()))
    };
    let plugin = load(&[], &[RUN, INTERFACES_EXPORT]).unwrap();
    assert_eq!(plugin.kinds().to_string(), "service");
    // It has read the fencing token and the time that is left, in milliseconds, where this host
    // writes nanoseconds.
    let former = load(&[("soloist:plugin/term@0.1.0", "current")], &[RUN]).map(drop).unwrap_err();
    let text = former.to_string();
    for part in ["another version of the interfaces", "soloist plugin bindings", "may differ"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn foreign_imports_are_all_named() {
    let imports = [("env", "emscripten_sleep"), (PREVIEW_1, "fd_write"), ("wasi", "thread-spawn")];
    let parts = ModuleParts { imports: &imports, exports: &["_start"], ..ModuleParts::default() };
    let error = refusal_of(&parts.assemble());
    assert!(matches!(error, PluginError::ModuleImports { .. }), "{error}");
    let text = error.to_string();
    for part in ["`env::emscripten_sleep`, `wasi::thread-spawn`", "`wasi_snapshot_preview1` only"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert!(!text.contains("fd_write"), "{text}");
}

#[test]
fn what_preview_1_does_not_have_is_named() {
    let imports = [(PREVIEW_1, "fd_wriggle")];
    let parts = ModuleParts { imports: &imports, exports: &["_start"], ..ModuleParts::default() };
    let error = refusal_of(&parts.assemble());
    assert!(matches!(error, PluginError::Lift { .. }), "{error}");
    // Deep in the chain of causes.
    assert!(format!("{error:?}").contains("fd_wriggle"), "{error:?}");
}

#[test]
fn a_module_without_an_entry() {
    for exports in [&[][..], &["run"], &["_initialize"]] {
        let error = refusal_of(&ModuleParts { exports, ..ModuleParts::default() }.assemble());
        assert!(matches!(error, PluginError::NoStart { .. }), "{error}");
        assert!(error.to_string().contains("_start"), "{error}");
    }
    let error = refusal_of(b"\0asm\x01\0\0\0");
    assert!(matches!(error, PluginError::NoStart { .. }), "{error}");
}

#[test]
fn a_world_that_its_module_does_not_keep() {
    let whole = reactor();
    let at = whole.windows(9).position(|bytes| bytes == b"0.2.0#run").unwrap();
    let mut other = whole;
    other[at + 8] = b'm';
    let error = refusal_of(&other);
    assert!(matches!(error, PluginError::Lift { .. }), "{error}");
}

#[test]
fn a_damaged_module() {
    let parts = ModuleParts {
        imports: &[(PREVIEW_1, "fd_write")],
        exports: &["_start"],
        ..ModuleParts::default()
    };
    let whole = parts.assemble();
    for length in 9..whole.len() {
        let error = refusal_of(&whole[..length]);
        // Cut between two sections, the file is a valid module without an entry point.
        let expected = matches!(error, PluginError::Compile { .. } | PluginError::NoStart { .. });
        assert!(expected, "{length}: {error}");
    }
}
