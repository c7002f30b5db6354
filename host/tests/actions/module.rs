//! Core modules, assembled by hand.

use std::{
    fs,
    path::{Path, PathBuf},
};

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection,
    Function, FunctionSection, ImportSection, Instruction, MemorySection, MemoryType, Module,
    StartSection, TypeSection, ValType,
};

/// The module name of WASI preview 1.
pub(crate) const PREVIEW_1: &str = "wasi_snapshot_preview1";

/// Where a program has the text that it writes: after a list of one vector, and the place for the
/// number of bytes written.
const TEXT_AT: i32 = 16;
const WRITTEN_AT: i32 = 8;

/// One page, which may grow.
const MEMORY: MemoryType =
    MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None };

/// Loops for ever.
pub(crate) const SPIN: [Instruction<'static>; 3] =
    [Instruction::Loop(BlockType::Empty), Instruction::Br(0), Instruction::End];

/// Writes `bytes` to a file `x.wasm` of `folder`.
pub(crate) fn file_in(folder: &Path, bytes: &[u8]) -> PathBuf {
    let file = folder.join("x.wasm");
    fs::write(&file, bytes).unwrap();
    file
}

/// What a module has in addition to its one function.
#[derive(Default)]
pub(crate) struct ModuleParts<'a> {
    pub(crate) imports: &'a [(&'a str, &'a str)],
    pub(crate) exports: &'a [&'a str],
    /// Whether its function runs on instantiation.
    pub(crate) starts: bool,
    /// The code of its function, and what it returns.
    pub(crate) code: &'a [Instruction<'a>],
    pub(crate) results: &'a [ValType],
    /// The content of its memory, from the start.
    pub(crate) memory: &'a [u8],
}

impl ModuleParts<'_> {
    /// The module. Imported functions have the type of `fd_write`; its own function has no
    /// parameters and is exported under all names of `exports`.
    pub(crate) fn assemble(&self) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([ValType::I32; 4], [ValType::I32]);
        types.ty().function([], self.results.iter().copied());
        let mut imports = ImportSection::new();
        for (module, name) in self.imports {
            imports.import(module, name, EntityType::Function(0));
        }
        let mut functions = FunctionSection::new();
        functions.function(1);
        let mut memories = MemorySection::new();
        memories.memory(MEMORY);
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        let own = u32::try_from(self.imports.len()).unwrap();
        for name in self.exports {
            exports.export(name, ExportKind::Func, own);
        }
        let mut body = Function::new([]);
        for instruction in self.code {
            body.instruction(instruction);
        }
        body.instruction(&Instruction::End);
        let mut code = CodeSection::new();
        code.function(&body);
        let mut data = DataSection::new();
        data.active(0, &ConstExpr::i32_const(0), self.memory.iter().copied());
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&memories);
        module.section(&exports);
        if self.starts {
            module.section(&StartSection { function_index: own });
        }
        module.section(&code);
        if !self.memory.is_empty() {
            module.section(&data);
        }
        module.finish()
    }
}

/// A module that exports what the world `http` does, and traps on instantiation.
pub(crate) fn trap_at_start() -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([ValType::I32; 2], []);
    let mut functions = FunctionSection::new();
    functions.function(0).function(1);
    let mut memories = MemorySection::new();
    memories.memory(MEMORY);
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("wasi:http/incoming-handler@0.2.12#handle", ExportKind::Func, 1);
    let mut code = CodeSection::new();
    for instructions in [&[Instruction::Unreachable, Instruction::End][..], &[Instruction::End]] {
        let mut body = Function::new([]);
        instructions.iter().for_each(|instruction| _ = body.instruction(instruction));
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&exports);
    module.section(&StartSection { function_index: 0 }).section(&code);
    module.finish()
}

/// A program for preview 1 that writes `text` to stdout and then runs `code`.
pub(crate) fn program(text: &str, code: &[Instruction<'_>]) -> Vec<u8> {
    let length = i32::try_from(text.len()).unwrap();
    let vector = [TEXT_AT.to_le_bytes(), length.to_le_bytes()].concat();
    let memory = [&vector, &[0; 8][..], text.as_bytes()].concat();
    let write = [
        Instruction::I32Const(1),
        Instruction::I32Const(0),
        Instruction::I32Const(1),
        Instruction::I32Const(WRITTEN_AT),
        Instruction::Call(0),
        Instruction::Drop,
    ];
    ModuleParts {
        imports: &[(PREVIEW_1, "fd_write")],
        exports: &["_start"],
        code: &[&write, code].concat(),
        memory: &memory,
        ..ModuleParts::default()
    }
    .assemble()
}
