//! Why the engine could not be created.

use std::{io, path::PathBuf};

use super::instance_limit::INSTANCES;

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The folder of the compile cache cannot be used.
    #[error(
        "cannot keep compiled plugins in {folder}: make it a folder that this user may write to, or choose another with XDG_CACHE_HOME (an absolute path)"
    )]
    Cache {
        /// The cache folder.
        folder: PathBuf,
        /// What wasmtime reports.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The pool could not be reserved.
    #[error(
        "cannot reserve the address space for {INSTANCES} instances (about 8 TiB, which takes no memory): lift the limit on virtual memory (`ulimit -v unlimited`, or LimitAS= of systemd)"
    )]
    Pool {
        /// What wasmtime reports.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The imports of plugins could not be defined; this is a bug in soloist.
    #[error("cannot offer plugins their imports; please report this")]
    Linker {
        /// What wasmtime reports.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The thread that interrupts guests could not be started.
    #[error(
        "cannot start the thread that interrupts guests: lift the limit on threads (`ulimit -u`)"
    )]
    Ticker {
        /// What the system reports.
        source: io::Error,
    },
}
