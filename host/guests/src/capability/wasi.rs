//! The whole of WASI, 0.2 and 0.3, with nothing behind it but what the settings grant:
//! folders, sockets (`sockets/`), arguments, and an environment that secrets are
//! part of. Clocks and random numbers are real, and what the guest prints is logged.
//!
//! Calls on files are made by threads of the action's own (`blocking.rs`), which nothing
//! can interrupt. One that was begun before the end of a term may be carried out after
//! it, which is why no folder is granted by default.

use std::{collections::BTreeMap, sync::Arc};

use tokio::time::timeout;
use wasmtime::component::Linker;
use wasmtime::format_err;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiView};

use super::{
    ActionAccess, Invocation, PoolExhausted,
    action_log::{LogStream, StdStream},
    blocking::HANGS,
    sockets::SocketsCtx,
};
use soloist_config::Secret;

/// A context for an instance that has what `access` grants, sent on `errand`.
///
/// # Errors
/// When a folder cannot be opened, or the action's files do not answer at all.
pub(crate) async fn ctx(
    access: &Arc<ActionAccess>,
    errand: &Invocation,
) -> wasmtime::Result<(WasiCtx, SocketsCtx)> {
    if access.grants.folders.is_empty() {
        return with_folders(access, errand);
    }
    access.blocking.check()?;
    // Opening a folder may hang as well.
    let (own, errand) = (Arc::clone(access), errand.clone());
    let opened = access.blocking.call(move || with_folders(&own, &errand));
    match timeout(HANGS, opened).await {
        Ok(opened) => opened?,
        Err(_) => {
            // It tells the log as well.
            access.blocking.check()?;
            Err(PoolExhausted.into())
        }
    }
}

fn with_folders(
    access: &Arc<ActionAccess>,
    errand: &Invocation,
) -> wasmtime::Result<(WasiCtx, SocketsCtx)> {
    let log = |stream| LogStream::new(stream, access.log.clone()).with_tail(errand.tail.clone());
    let mut ctx = WasiCtx::builder();
    ctx.stdout(log(StdStream::Stdout)).stderr(log(StdStream::Stderr));
    ctx.arg(&access.action).args(&access.grants.args);
    for (name, text) in environment(&access.grants.env, &access.grants.secrets) {
        // What the errand says is not to be had otherwise.
        if !errand.env.iter().any(|(told, _)| *told == name) {
            ctx.env(name, text);
        }
    }
    for (name, text) in &errand.env {
        ctx.env(name, text);
    }
    let sockets = SocketsCtx::new(access, &mut ctx);
    for folder in &access.grants.folders {
        let perms = if folder.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        ctx.preopened_dir(&folder.from, &folder.at, perms).map_err(|error| {
            format_err!("cannot open the folder {}: {error}", folder.from.display())
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

/// Offers WASI to the components that `linker` links.
pub(crate) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)
}

/// Offers WASI 0.3 as well.
pub(crate) fn add_0_3_to_linker<T: WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi::p3::add_to_linker(linker)
}
