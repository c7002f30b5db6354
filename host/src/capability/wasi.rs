//! The whole of WASI 0.2, with nothing behind it: no files, no sockets, no
//! arguments, no environment. Clocks and random numbers are real, and what the
//! guest prints is logged.

use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime_wasi::{WasiCtx, WasiView};

use super::{
    Gate,
    log::{LogStream, Stream},
};

/// A context that grants nothing, for an instance of `action`.
pub(crate) fn ctx(action: &Arc<str>, gate: &Arc<Gate>) -> WasiCtx {
    WasiCtx::builder()
        .stdout(LogStream::new(Stream::Stdout, action.clone(), gate.clone()))
        .stderr(LogStream::new(Stream::Stderr, action.clone(), gate.clone()))
        .build()
}

/// Offers WASI to the components that `linker` links.
pub(crate) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}
