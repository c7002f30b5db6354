//! Malicious files are refused, or do no harm.

use std::{fs::File, os::unix::fs::symlink, path::Path, process::Command};

use soloist::action::Action;
use soloist_guests::plugin::{Plugin, PluginEngine, PluginError, Ranker};
use soloist_heart::clock::BootTime;
use wasm_encoder::{
    CodeSection, Component, ComponentTypeSection, ComponentValType, ExportKind, ExportSection,
    Function, FunctionSection, MemorySection, MemoryType, Module, PrimitiveValType, TypeSection,
};

use crate::{
    module::{ModuleParts, SPIN, file_in},
    refused::{refusal, refusal_of},
    rig::{RunningAction, config, free_address, gate, guest_file},
};

/// The instruction that ends a function (WebAssembly: `end`).
const END: u8 = 0x0b;

/// How many levels a file nests.
const DEPTH: usize = 10_000;

/// A program with one function of this body, and a memory of this many pages.
fn function(body: &[u8], pages: u64) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export("_start", ExportKind::Func, 0).export("memory", ExportKind::Memory, 0);
    let mut function = Function::new([]);
    function.raw(body.iter().copied());
    let mut code = CodeSection::new();
    code.function(&function);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memory(pages)).section(&exports);
    module.section(&code);
    module.finish()
}

/// One memory of at least this many pages.
fn memory(minimum: u64) -> MemorySection {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    memories
}

#[test]
fn a_type_of_types_of_types() {
    let mut types = ComponentTypeSection::new();
    types.defined_type().primitive(PrimitiveValType::U8);
    for inner in 0..DEPTH {
        types.defined_type().list(ComponentValType::Type(u32::try_from(inner).unwrap()));
    }
    let mut component = Component::new();
    component.section(&types);
    let error = refusal_of(&component.finish());
    assert!(matches!(error, PluginError::Compile { .. }), "{error}");
}

#[test]
fn a_component_in_a_component_in_a_component() {
    let empty = Component::new().finish();
    let mut nested = Vec::new();
    for _ in 0..DEPTH {
        // The innermost part comes last, so it is written backwards, from the inside out.
        let length = empty.len() + nested.len();
        nested.extend(empty.iter().rev());
        nested.extend(leb(length).iter().rev());
        nested.push(4);
    }
    nested.extend(empty.iter().rev());
    nested.reverse();
    let error = refusal_of(&nested);
    assert!(matches!(error, PluginError::TooDeep { .. }), "{error}");
}

/// A number in WebAssembly's LEB128 encoding.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[test]
fn a_function_beyond_all_measure() {
    let drops = [0x41, 0, 0x1a].repeat(3_000_000);
    let error = refusal_of(&function(&[&drops[..], &[END]].concat(), 1));
    assert!(matches!(error, PluginError::Compile { .. }), "{error}");
}

#[test]
fn more_memory_than_the_pool_has() {
    let error = refusal_of(&function(&[END], 65_536));
    assert!(matches!(error, PluginError::Compile { .. } | PluginError::Link { .. }), "{error}");
}

#[test]
fn a_file_that_is_mostly_a_hole() {
    let folder = tempfile::tempdir().unwrap();
    let file = file_in(folder.path(), b"\0asm\x0d\0\x01\0");
    File::options().write(true).open(&file).unwrap().set_len(2 << 30).unwrap();
    let error = refusal(&file);
    assert!(matches!(error, PluginError::TooLarge { .. }), "{error}");
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.wasm");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
    assert!(matches!(refusal(&pipe), PluginError::NotAFile { .. }));
    assert!(matches!(refusal(Path::new("/dev/zero")), PluginError::NotAFile { .. }));
    let circle = folder.path().join("circle.wasm");
    symlink(&circle, &circle).unwrap();
    assert!(matches!(refusal(&circle), PluginError::Read { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_function_without_an_end_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let parts =
        ModuleParts { exports: &["_start"], starts: true, code: &SPIN, ..ModuleParts::default() };
    let file = file_in(folder.path(), &parts.assemble());
    let engine = PluginEngine::new(None).unwrap().into();
    let action = Action::prepare(&config(file, free_address()), &engine).unwrap();
    let rig = RunningAction::start((engine, action), gate(1, BootTime::NEVER));
    rig.instances(1).await;
    rig.stop().await;
}

/// An engine that has another program compile what it has not seen yet.
fn vetted_by(program: &str, cache: &Path) -> PluginEngine {
    PluginEngine::new(Some(cache.to_owned())).unwrap().with_vetting(program.into(), None)
}

/// This one would keep the compiler busy for minutes.
#[test]
fn blocks_in_blocks_in_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let engine = vetted_by(env!("CARGO_BIN_EXE_soloist"), folder.path());
    let nested = [&[0x02, 0x40].repeat(100_000)[..], &[END].repeat(100_001)].concat();
    let file = file_in(folder.path(), &function(&nested, 1));
    let error = Plugin::load(&engine, &file).err().expect("it is refused");
    assert!(matches!(error, PluginError::TooCostly { .. }), "{error}");
}

#[test]
fn what_has_compiled_once_is_compiled_by_no_other_process_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let good = guest_file("i-am-server");
    let load = |program, file: &Path| Plugin::load(&vetted_by(program, &cache), file);
    assert!(matches!(load("no-such-program", &good), Err(PluginError::CompileProcess { .. })));
    load(env!("CARGO_BIN_EXE_soloist"), &good).expect("it is good");
    load("no-such-program", &good).expect("it is known to be good");
    let other = load("false", &guest_file("spin")).err().expect("nothing is known of it");
    assert!(
        matches!(&other, PluginError::CompilerCrash { how, .. } if how.contains("exit")),
        "{other}"
    );
}

/// A strategy is a file that somebody has put there, like any plugin.
#[test]
fn a_strategy_is_compiled_by_another_process_first() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let load = |program| Ranker::load(&vetted_by(program, &cache), &guest_file("strategy"));
    let broken = load("false").err().expect("it was compiled here");
    assert!(matches!(broken, PluginError::CompilerCrash { .. }), "{broken}");
    load(env!("CARGO_BIN_EXE_soloist")).expect("it is good");
    load("no-such-program").expect("it is known to be good");
    // It could not be an action, so no process is asked to compile it.
    let other = Plugin::load(&vetted_by("false", &cache), &guest_file("strategy"));
    assert!(matches!(other, Err(PluginError::NoKind { .. })));
}

/// The error of a bad file is the same with and without another process.
#[test]
fn a_bad_file_is_told_of_by_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let engine = vetted_by(env!("CARGO_BIN_EXE_soloist"), folder.path());
    let file = file_in(folder.path(), b"no WebAssembly");
    let error = Plugin::load(&engine, &file).err().expect("it is refused");
    assert!(matches!(error, PluginError::NotWasm { .. }), "{error}");
}

#[test]
fn the_memory_of_a_compilation_has_a_limit() {
    let compile = |memory: &str| {
        let plugin = File::open(guest_file("i-am-server")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_soloist"))
            .args(["plugin", "compile", "--seconds=60", "--memory", memory])
            .args(["--parent", &std::process::id().to_string()])
            .stdin(plugin)
            .output()
            .unwrap()
    };
    assert!(compile("1000000000").status.success());
    assert!(!compile("65536").status.success());
}
