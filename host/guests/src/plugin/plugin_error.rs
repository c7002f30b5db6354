//! Why a plugin cannot be loaded, and what to do about it.

use std::{io, path::PathBuf};

use super::{EngineError, FileFormat, kind};

/// The error of a library.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A plugin was refused. Each variant names the phase of loading first.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are the file, and what the message says")]
pub enum PluginError {
    /// Reading: the file cannot be read.
    #[error("cannot read the plugin {}: check that it is there and that this user may read it", file.display())]
    Read { file: PathBuf, source: io::Error },
    /// Reading: it is a folder, a pipe or a device.
    #[error("the plugin {} is not a file: name the .wasm file itself", file.display())]
    NotAFile { file: PathBuf },
    /// Reading: the file is too large.
    #[error("the plugin {} is larger than {} MiB: strip it (`wasm-tools strip --all`), or split it", file.display(), max >> 20)]
    TooLarge { file: PathBuf, max: u64 },
    /// Reading: the digest differs from the one in the settings.
    #[error("the plugin {} is not the expected one: its SHA-256 is {sha256}, and the settings say `sha256 = \"{pin}\"`: put the right file there, or write its sum into the settings (`soloist plugin inspect` prints it)", file.display())]
    DigestMismatch { file: PathBuf, pin: String, sha256: String },
    /// Vetting: the process that compiles could not be started.
    #[error("cannot have the plugin {} compiled by a process of its own: allow this user one more process (`ulimit -u`) and room for temporary files (TMPDIR)", file.display())]
    CompileProcess { file: PathBuf, source: io::Error },
    /// Vetting: compiling takes too long.
    #[error("the plugin {} takes more than {seconds} s of processor time to compile, which no file of its size should: build it with optimisations, or split it", file.display())]
    TooCostly { file: PathBuf, seconds: u64 },
    /// Vetting: the compiler crashes.
    #[error("the compiler breaks down on the plugin {} ({how}): build it again, with another version of its tools; if that does not help, please report it", file.display())]
    CompilerCrash { file: PathBuf, how: String },
    /// Recognising: the file is not WebAssembly of a known kind.
    #[error("the plugin {} is not WebAssembly that this host knows ({form}): {}", file.display(), form.advice())]
    NotWasm { file: PathBuf, form: FileFormat },
    /// Recognising: components are nested too deep.
    #[error("the plugin {} nests components more than {max} deep, which could not be compiled in reasonable time: compose it with fewer levels", file.display())]
    TooDeep { file: PathBuf, max: usize },
    /// Lifting a core module: it imports something else than WASI preview 1.
    #[error("the plugin {} is a core module that imports {}, but a core module may import `wasi_snapshot_preview1` only: build it for WASI preview 1 (GOOS=wasip1, --target=wasm32-wasi), or as a component (wasm32-wasip2)", file.display(), listed(imports))]
    ModuleImports { file: PathBuf, imports: Vec<String> },
    /// Lifting a core module: it has no entry point.
    #[error("the plugin {} is a core module without an entry point: build it as a program, which exports `_start`, or embed the WIT world that it exports (`wasm-tools component embed`)", file.display())]
    NoStart { file: PathBuf },
    /// Lifting a core module: its allocator would overwrite memory of the adapter.
    #[error("the plugin {} is a core module of AssemblyScript that reads arguments or the environment, and its allocator would take the memory that the adapter to WASI 0.2 keeps them in: let the adapter ask it for memory, by `export function cabi_realloc(ptr: usize, old: usize, align: usize, size: usize): usize {{ return ptr ? heap.realloc(ptr, size) : heap.alloc(size); }}`", file.display())]
    TakesAllMemory { file: PathBuf },
    /// Lifting a core module: the encoder fails.
    #[error("cannot make a component of the core module {}: build it for WASI preview 1 or, where it has a WIT world, with a released wit-bindgen; or build a component (wasm32-wasip2)", file.display())]
    Lift { file: PathBuf, source: BoxError },
    /// Compiling: the engine for WASI 0.3 could not be created.
    #[error("cannot make what the plugin {} needs, which is built for WASI 0.3: {source}", file.display())]
    Engine { file: PathBuf, source: EngineError },
    /// Compiling: wasmtime refuses the component.
    #[error("cannot compile the plugin {}: the file is damaged, or needs a WebAssembly feature that is not enabled: build it again, or copy it again", file.display())]
    Compile { file: PathBuf, source: BoxError },
    /// Recognising its kind: it exports nothing that can be run.
    #[error("the plugin {} exports nothing that can be run: it exports {}; export {}", file.display(), listed(exports), kind::EXPECTED)]
    NoKind { file: PathBuf, exports: Vec<String> },
    /// Loading a strategy: the export is missing.
    #[error("the plugin {} is no strategy: it exports {}; export `soloist:plugin/strategy`, or name another file in `strategy`", file.display(), listed(exports))]
    NoStrategy { file: PathBuf, exports: Vec<String> },
    /// Resolving its imports: some are not on offer.
    #[error("the plugin {} imports interfaces that this host does not offer: {}; build it without them, or update the host", file.display(), listed(imports))]
    Imports { file: PathBuf, imports: Vec<String> },
    /// Lifting or linking: it uses functions or types of soloist that have changed.
    #[error("the plugin {} was built against another version of the interfaces of soloist: {}; update its interfaces (`soloist plugin bindings`), follow the changes in its code, and build it again; or run it on a host of the version that it was built for", file.display(), changes.join(", "))]
    Interfaces { file: PathBuf, changes: Vec<String> },
    /// Linking: the names match, but the types do not.
    #[error("cannot link the plugin {}: it was built against interfaces that differ from this host's; build it against released versions", file.display())]
    Link { file: PathBuf, source: BoxError },
}

impl PluginError {
    /// Whether the file is no plugin at all, in contrast to a plugin that this host cannot run.
    #[must_use]
    pub const fn is_no_plugin(&self) -> bool {
        matches!(
            self,
            Self::NotAFile { .. }
                | Self::NotWasm { .. }
                | Self::NoStart { .. }
                | Self::NoKind { .. }
                | Self::NoStrategy { .. }
        )
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
