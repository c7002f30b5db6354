//! Loads a plugin: reads, recognises, lifts, compiles and links it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use wasmtime::component::Component;

use super::{
    EntryPoints, Kinds, PluginEngine, PluginError,
    digest::sha256,
    kind::kinds_of,
    recognise::{as_component, kinds_in},
    vetting::CompileTarget,
    wasi_engine::{SlotCost, WasiEngine},
    wit_changes,
};
use crate::capability;
use soloist_config::small_file;
use soloist_text::hex;

/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 256 << 20;
/// A component that is ready to be instantiated.
pub struct Plugin {
    file: PathBuf,
    sha256: Arc<str>,
    kinds: Kinds,
    entries: EntryPoints,
    weight: SlotCost,
}

impl Plugin {
    /// Loads `file`. This blocks, and compiling can take seconds.
    ///
    /// # Errors
    /// When this host cannot run the file; the error says why.
    pub fn load(engine: &PluginEngine, file: &Path) -> Result<Self, PluginError> {
        Self::load_pinned(engine, file, None)
    }

    /// Like [`load`](Self::load), if the content of the file has the SHA-256 `pin`.
    ///
    /// # Errors
    /// When the digest differs, or this host cannot run the file.
    pub fn load_pinned(
        engine: &PluginEngine,
        file: &Path,
        pin: Option<[u8; 32]>,
    ) -> Result<Self, PluginError> {
        let bytes = read_plugin(file)?;
        let sha256 = sha256(&bytes);
        if let Some(pin) = pin.map(|pin| hex(&pin))
            && pin != sha256
        {
            return Err(PluginError::DigestMismatch { file: file.to_owned(), pin, sha256 });
        }
        engine.vet(CompileTarget::Action, file, &bytes, &sha256)?;
        let plugin = Self::make(engine, file, &bytes, sha256)?;
        engine.note_loaded(file);
        Ok(plugin)
    }

    /// Loads `bytes`, the content of `file`, without vetting.
    ///
    /// # Errors
    /// When this host cannot run them.
    pub fn from_bytes(
        engine: &PluginEngine,
        file: &Path,
        bytes: &[u8],
    ) -> Result<Self, PluginError> {
        Self::make(engine, file, bytes, sha256(bytes))
    }

    fn make(
        engine: &PluginEngine,
        file: &Path,
        bytes: &[u8],
        sha256: String,
    ) -> Result<Self, PluginError> {
        let bytes = as_component(file, bytes)?;
        let (machine, component) = compile(engine, file, &bytes)?;
        let (kinds, entries) = link(machine, file, &component, &bytes)?;
        let weight = SlotCost::of(&component);
        Ok(Self { file: file.to_owned(), sha256: sha256.into(), kinds, entries, weight })
    }

    /// The file it was loaded from.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The SHA-256 of the file, as hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> &Arc<str> {
        &self.sha256
    }

    /// All kinds that it can run as.
    #[must_use]
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// The same plugin, restricted to these kinds.
    pub fn restricted_to(mut self, kinds: &Kinds) -> Self {
        self.entries.restrict_to(kinds);
        self
    }

    /// How many slots of the engine an instance takes.
    pub fn slot_cost(&self) -> SlotCost {
        self.weight
    }

    /// Its entry points.
    pub fn entry_points(&self) -> &EntryPoints {
        &self.entries
    }
}

/// Whether loading `file` would have to compile it first. Compiles nothing. A file that cannot be
/// read needs no compiling.
#[must_use]
pub fn needs_compiling(engine: &PluginEngine, file: &Path) -> bool {
    read_plugin(file).is_ok_and(|bytes| !engine.is_compiled(file, &sha256(&bytes)))
}

/// Reads `file`, which must be a regular file.
pub fn read_plugin(file: &Path) -> Result<Vec<u8>, PluginError> {
    let failed = |source: io::Error| PluginError::Read { file: file.to_owned(), source };
    // Checked before it is opened, since opening a pipe could block for ever.
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(PluginError::NotAFile { file: file.to_owned() });
    }
    let opened = File::open(file).map_err(failed)?;
    let read = small_file::read_unless_larger(opened, FILE_MAX).map_err(failed)?;
    read.ok_or_else(|| PluginError::TooLarge { file: file.to_owned(), max: FILE_MAX })
}

/// The kinds that the plugin `file` could run as, according to its exports. Compiles nothing, so
/// this does not mean that it can be loaded.
///
/// # Errors
/// When it is not a plugin.
pub fn kinds(file: &Path) -> Result<Kinds, PluginError> {
    kinds_in(file, &read_plugin(file)?)
}

/// Compiles for WASI 0.2 if possible, since calls are faster there. A component that needs the
/// concurrency of 0.3 is refused at once, before any code is compiled.
fn compile<'a>(
    engine: &'a PluginEngine,
    file: &Path,
    bytes: &[u8],
) -> Result<(&'a WasiEngine, Component), PluginError> {
    let refused = |source: wasmtime::Error| PluginError::Compile {
        file: file.to_owned(),
        source: source.into(),
    };
    let plain = engine.wasi_0_2();
    match Component::from_binary(&plain.engine, bytes) {
        Ok(component) if !is_wasi_0_3(&component) => Ok((plain, component)),
        // For a damaged file, the second engine is not created.
        Err(source) if !names_wasi_0_3(bytes) => Err(refused(source)),
        _ => {
            let concurrent = engine
                .wasi_0_3()
                .map_err(|source| PluginError::Engine { file: file.to_owned(), source })?;
            let component = Component::from_binary(&concurrent.engine, bytes).map_err(refused)?;
            Ok((concurrent, component))
        }
    }
}

/// Whether it imports or exports an interface of WASI 0.3. Components that use only synchronous
/// parts of 0.3 compile for 0.2 as well.
fn is_wasi_0_3(component: &Component) -> bool {
    let (ty, engine) = (component.component_type(), component.engine());
    let is = |name: &str| name.starts_with("wasi:") && name.contains(WASI_0_3);
    ty.imports(engine).any(|(name, _)| is(name)) || ty.exports(engine).any(|(name, _)| is(name))
}

/// Whether the file seems to contain the name of a WASI 0.3 interface.
fn names_wasi_0_3(bytes: &[u8]) -> bool {
    let named = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    named(WASI_0_3) && named("wasi:")
}

const WASI_0_3: &str = "@0.3.";

fn link(
    machine: &WasiEngine,
    file: &Path,
    component: &Component,
    bytes: &[u8],
) -> Result<(Kinds, EntryPoints), PluginError> {
    let ty = component.component_type();
    let exports: Vec<_> = ty.exports(&machine.engine).map(|(name, _)| name.to_owned()).collect();
    let imports: Vec<_> = ty
        .imports(&machine.engine)
        .map(|(name, _)| name.to_owned())
        .filter(|name| !capability::offers(name))
        .collect();
    let file = || file.to_owned();
    let kinds = kinds_of(&exports);
    if kinds.is_empty() {
        return Err(PluginError::NoKind { file: file(), exports });
    }
    if !imports.is_empty() {
        return Err(PluginError::Imports { file: file(), imports });
    }
    let link = || EntryPoints::of(&exports, &machine.linker.instantiate_pre(component)?);
    let entries = link().map_err(|source| match wit_changes::of_component(bytes) {
        changes if changes.is_empty() => PluginError::Link { file: file(), source: source.into() },
        changes => PluginError::Interfaces { file: file(), changes },
    })?;
    Ok((kinds, entries))
}
