//! The whole of WASI 0.2, with nothing behind it but the folders that the
//! settings grant: no sockets, no arguments, no environment. Clocks and random
//! numbers are real, and what the guest prints is logged.
//!
//! Calls on files are made by threads that nothing can interrupt. One that was
//! begun before the end of a term may be carried out after it, which is why no
//! folder is granted by default.

use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::format_err;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiView};

use super::{
    Access,
    log::{LogStream, Stream},
};

/// A context for an instance that sees the folders that `access` grants.
///
/// # Errors
/// When one of them cannot be opened.
pub(crate) fn ctx(access: &Arc<Access>) -> wasmtime::Result<WasiCtx> {
    let log = |stream| LogStream::new(stream, access.action.clone(), access.gate().clone());
    let mut ctx = WasiCtx::builder();
    ctx.stdout(log(Stream::Stdout)).stderr(log(Stream::Stderr));
    for folder in &access.grants.folders {
        let perms = if folder.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        ctx.preopened_dir(&folder.from, &folder.at, perms).map_err(|error| {
            format_err!("cannot open the folder {}: {error}", folder.from.display())
        })?;
    }
    Ok(ctx.build())
}

/// Offers WASI to the components that `linker` links.
pub(crate) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}
