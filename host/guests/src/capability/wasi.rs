//! The whole of WASI, 0.2 and 0.3, limited to what the settings grant: folders, sockets
//! (`sockets/`), arguments, and environment variables, which include secrets. Clocks and random
//! numbers are real, and output is logged.
//!
//! File operations run on threads of the action (`blocking.rs`), and nothing can interrupt them.
//! One that began before the end of a term may complete after it; that is why no folder is granted
//! by default.

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::timeout;
use wasmtime::component::Linker;
use wasmtime::format_err;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiView};

use super::{
    ActionAccess, Invocation, PoolExhausted, action_log::StdStream, blocking::HANG_AFTER,
    log_stream::LogStream, sockets::SocketsCtx,
};
use soloist_config::Secret;

/// The WASI context of an instance with this access, for one invocation.
///
/// # Errors
/// When a folder cannot be opened, or all file operations of the action hang.
pub(crate) async fn ctx(
    access: &Arc<ActionAccess>,
    invocation: &Invocation,
) -> wasmtime::Result<(WasiCtx, SocketsCtx)> {
    if access.grants.mounts.is_empty() {
        return with_folders(access, invocation);
    }
    access.blocking.check()?;
    // Opening a folder may hang as well.
    let (own, invocation) = (Arc::clone(access), invocation.clone());
    let opened = access.blocking.call(move || with_folders(&own, &invocation));
    match timeout(HANG_AFTER, opened).await {
        Ok(opened) => opened?,
        Err(_) => {
            // This logs the problem as well.
            access.blocking.check()?;
            Err(PoolExhausted.into())
        }
    }
}

fn with_folders(
    access: &Arc<ActionAccess>,
    invocation: &Invocation,
) -> wasmtime::Result<(WasiCtx, SocketsCtx)> {
    let log =
        |stream| LogStream::new(stream, access.log.clone()).with_tail(invocation.tail.clone());
    let mut ctx = WasiCtx::builder();
    ctx.stdout(log(StdStream::Stdout)).stderr(log(StdStream::Stderr));
    ctx.arg(&access.action).args(&access.grants.args);
    for (name, text) in environment(&access.grants.env, &access.grants.secrets) {
        // The variables of the invocation take precedence.
        if !invocation.env.iter().any(|(set, _)| *set == name) {
            ctx.env(name, text);
        }
    }
    for (name, text) in &invocation.env {
        ctx.env(name, text);
    }
    let sockets = SocketsCtx::new(access, &mut ctx);
    for folder in &access.grants.mounts {
        let perms = if folder.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
        ctx.preopened_dir(&folder.source, &folder.target, perms).map_err(|error| {
            format_err!("cannot open the folder {}: {error}", folder.source.display())
        })?;
    }
    Ok((ctx.build(), sockets))
}

fn environment<'a>(
    env: &'a BTreeMap<String, String>,
    secrets: &'a BTreeMap<String, Secret>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let env = env.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    env.chain(secrets.iter().map(|(name, secret)| (name.as_str(), secret.reveal())))
}

/// Adds WASI 0.2 to `linker`.
pub(crate) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

/// Adds WASI 0.3 to `linker`.
pub(crate) fn add_0_3_to_linker<T: WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p3::add_to_linker(linker)
}
