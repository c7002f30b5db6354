//! Files that are made to do harm are refused, or come to nothing.

use std::{fs::File, os::unix::fs::symlink, path::Path};

use soloist::{
    action::Action,
    clock::BootTime,
    plugin::{Engine, PluginError},
};
use wasm_encoder::{
    CodeSection, Component, ComponentTypeSection, ComponentValType, ExportKind, ExportSection,
    Function, FunctionSection, MemorySection, MemoryType, Module, PrimitiveValType, TypeSection,
};

use crate::{
    module::{Parts, SPIN, file_in},
    refused::{refusal, refusal_of},
    rig::{Rig, config, free_address, gate},
};

/// How deep a file nests what it nests.
const DEPTH: usize = 10_000;

/// A program whose one function has this body.
fn function(body: &[u8]) -> Vec<u8> {
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
    module.section(&types).section(&functions).section(&memory(1)).section(&exports);
    module.section(&code);
    module.finish()
}

/// One memory of at least so many pages.
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
        // What is inside comes last, so it is written from the inside out, backwards.
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

/// A number as WebAssembly writes it.
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
    let error = refusal_of(&function(&[&drops[..], &[0x0b]].concat()));
    assert!(matches!(error, PluginError::Compile { .. }), "{error}");
}

#[test]
fn more_memory_than_the_pool_has() {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export("_start", ExportKind::Func, 0).export("memory", ExportKind::Memory, 0);
    let mut code = CodeSection::new();
    code.function(Function::new([]).instruction(&wasm_encoder::Instruction::End));
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memory(65_536)).section(&exports);
    module.section(&code);
    let error = refusal_of(&module.finish());
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
    let parts = Parts { exports: &["_start"], starts: true, code: &SPIN, ..Parts::default() };
    let file = file_in(folder.path(), &parts.assemble());
    let engine = Engine::new(None).unwrap().into();
    let action = Action::prepare(&config(file, free_address()), &engine).unwrap();
    let rig = Rig::start((engine, action), gate(1, BootTime::NEVER));
    rig.instances(1).await;
    rig.stop().await;
}
