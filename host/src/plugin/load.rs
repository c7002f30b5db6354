//! Loading a plugin: read, recognise, compile, link.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

use super::{Engine, Kind, PluginError};
use crate::capability::{self, GuestState};

/// The largest file that is read.
const FILE_MAX: u64 = 256 << 20;
/// How every WebAssembly file begins; the layer follows.
const MAGIC: &[u8] = b"\0asm";
const LAYER_MODULE: &[u8] = &[1, 0, 0, 0];
const LAYER_COMPONENT: &[u8] = &[0x0d, 0, 1, 0];

/// Where a plugin is entered, with everything that can be done once already done.
#[derive(Clone)]
pub(crate) enum Entry {
    /// With a request.
    Http(ProxyPre<GuestState>),
    /// As a program.
    Service(CommandPre<GuestState>),
}

/// A component that is ready to be instantiated.
pub struct Plugin {
    file: PathBuf,
    sha256: Arc<str>,
    entry: Entry,
}

impl Plugin {
    /// Loads `file`. This blocks, and compiling can take seconds.
    ///
    /// # Errors
    /// When the file is nothing that this host can run; the error says why.
    pub fn load(engine: &Engine, file: &Path) -> Result<Self, PluginError> {
        let bytes = read(file)?;
        recognise(file, &bytes)?;
        let component = compile(engine, file, &bytes)?;
        let entry = link(engine, file, &component)?;
        Ok(Self { file: file.to_owned(), sha256: sha256(&bytes).into(), entry })
    }

    /// The file it was loaded from.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The SHA-256 of the file, in hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> &Arc<str> {
        &self.sha256
    }

    /// What it can be run as.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.entry {
            Entry::Http(_) => Kind::Http,
            Entry::Service(_) => Kind::Service,
        }
    }

    /// Where it is entered.
    pub(crate) fn entry(&self) -> &Entry {
        &self.entry
    }
}

fn read(file: &Path) -> Result<Vec<u8>, PluginError> {
    let failed = |source: io::Error| PluginError::Read { file: file.to_owned(), source };
    // Asked before it is opened, since opening a pipe would wait for ever.
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(PluginError::NotAFile { file: file.to_owned() });
    }
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(failed)?;
    opened.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(PluginError::TooLarge { file: file.to_owned(), max: FILE_MAX });
    }
    Ok(bytes)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn recognise(file: &Path, bytes: &[u8]) -> Result<(), PluginError> {
    let file = || file.to_owned();
    match bytes.strip_prefix(MAGIC) {
        Some(rest) if rest.starts_with(LAYER_COMPONENT) => Ok(()),
        Some(rest) if rest.starts_with(LAYER_MODULE) => {
            Err(PluginError::CoreModule { file: file() })
        }
        _ => Err(PluginError::NotWasm { file: file() }),
    }
}

fn compile(engine: &Engine, file: &Path, bytes: &[u8]) -> Result<Component, PluginError> {
    Component::from_binary(engine.wasmtime(), bytes).map_err(|source| {
        let file = file.to_owned();
        // A component of 0.3 does not compile here, for want of concurrency.
        if names_wasi_0_3(bytes) {
            return PluginError::Wasi03 { file };
        }
        PluginError::Compile { file, source: source.into() }
    })
}

/// Whether an interface of WASI 0.3 is named somewhere in the file.
fn names_wasi_0_3(bytes: &[u8]) -> bool {
    bytes.windows(WASI_0_3.len()).any(|window| window == WASI_0_3.as_bytes())
        && bytes.windows(5).any(|window| window == b"wasi:")
}

const WASI_0_3: &str = "@0.3.";

fn is_wasi_0_3(name: &str) -> bool {
    name.starts_with("wasi:") && name.contains(WASI_0_3)
}

fn link(engine: &Engine, file: &Path, component: &Component) -> Result<Entry, PluginError> {
    let ty = component.component_type();
    let exports: Vec<_> = ty.exports(engine.wasmtime()).map(|(name, _)| name.to_owned()).collect();
    let imports: Vec<_> = ty
        .imports(engine.wasmtime())
        .map(|(name, _)| name.to_owned())
        .filter(|name| !capability::offers(name))
        .collect();
    let file = || file.to_owned();
    if exports.iter().chain(&imports).any(|name| is_wasi_0_3(name)) {
        return Err(PluginError::Wasi03 { file: file() });
    }
    let Some(kind) = Kind::of(&exports) else {
        return Err(PluginError::NoKind { file: file(), exports });
    };
    if !imports.is_empty() {
        return Err(PluginError::Imports { file: file(), imports });
    }
    let link = || enter(kind, engine.linker().instantiate_pre(component)?);
    link().map_err(|source| PluginError::Link { file: file(), source: source.into() })
}

fn enter(kind: Kind, pre: InstancePre<GuestState>) -> wasmtime::Result<Entry> {
    Ok(match kind {
        Kind::Http => Entry::Http(ProxyPre::new(pre)?),
        Kind::Service => Entry::Service(CommandPre::new(pre)?),
    })
}
