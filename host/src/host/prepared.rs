//! What must be there before a host can run: its listener, its compiled plugins, its store.

use std::{path, sync::Arc};

use tokio::{net::TcpListener, runtime, sync::watch, task::spawn_blocking};
use tracing::warn;

use super::HostError;
use crate::{
    action::{Catalog, StartupProgress},
    api::{self, AccessControl},
    cluster::{PeerClient, PeerCredentials},
    term::PluginRanking,
};
use soloist_config::{ActionSet, Config};
use soloist_guests::plugin::PluginEngine;
use soloist_stores::{self as store, Store};
use soloist_telemetry::measure::Measurements;

/// Everything that a host needs before it starts.
pub(super) struct PreparedHost {
    pub(super) catalog: Catalog,
    pub(super) ranking: PluginRanking,
    pub(super) listener: TcpListener,
    pub(super) access_control: Arc<AccessControl>,
    pub(super) store: Arc<dyn Store>,
    pub(super) peers: PeerClient,
    pub(super) measurements: Measurements,
}

impl PreparedHost {
    /// Prepares what `config` describes; the store works on the runtime `election`. Meanwhile the
    /// control API already answers and says what it waits for: compiling takes long, and a host
    /// that is only slow must not be killed by whatever checks its health.
    pub(super) async fn of(config: &Config, election: &runtime::Handle) -> Result<Self, HostError> {
        let measurements = Measurements::start().map_err(HostError::Measurements)?;
        let peers = PeerClient::new(&PeerCredentials::of(&config.host)).map_err(HostError::Tls)?;
        let listener = listen(config).await?;
        let bound = listener.local_addr().map_err(HostError::System)?;
        let access_control =
            Arc::new(AccessControl::of(&config.host, bound).map_err(HostError::AccessControl)?);
        let (progress, preparing) = watch::channel(StartupProgress::default());
        let starting = async {
            let (catalog, ranking) = compile(config, progress).await?;
            let store = open_store(config, election).await?;
            Ok::<_, HostError>((catalog, ranking, store))
        };
        let (catalog, ranking, store) =
            api::serve_while_starting(&listener, &access_control, preparing, starting).await?;
        Ok(Self { catalog, ranking, listener, access_control, store, peers, measurements })
    }
}

async fn listen(config: &Config) -> Result<TcpListener, HostError> {
    let listen = config.host.listen;
    let failed = |source| HostError::Listen { listen, source };
    TcpListener::bind(listen).await.map_err(failed)
}

/// Compiles and links all plugins, before this host stands for election.
async fn compile(
    config: &Config,
    progress: watch::Sender<StartupProgress>,
) -> Result<(Catalog, PluginRanking), HostError> {
    let source = Arc::clone(&config.source);
    let (actions, refused) = (config.actions.clone(), config.refused.clone());
    let (groups, functions) = (config.groups.clone(), config.functions.clone());
    let compiled = spawn_blocking(move || -> Result<_, HostError> {
        let engine = Arc::new(PluginEngine::for_this_program(functions)?);
        let ranking = PluginRanking::load(&engine, &groups);
        Ok((Catalog::prepare(source, ActionSet { actions, refused }, engine, &progress), ranking))
    });
    let (catalog, ranking) = compiled.await.map_err(HostError::Broken)??;
    let programme = Arc::clone(&catalog.programme().borrow());
    match programme.refused.first() {
        Some(refused) if config.all_or_none => {
            return Err(HostError::Action { reason: refused.reason.clone() });
        }
        None if programme.actions.is_empty() => {
            let folder = config.source.folder();
            let folder = path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
            warn!("there are no plugins yet: put a component (*.wasm) into {}", folder.display());
        }
        _ => {}
    }
    Ok((catalog, ranking))
}

/// Opens the store on the election thread, and checks that it answers. What waiting cannot cure
/// ends the start; a store that is only down is waited for.
async fn open_store(
    config: &Config,
    election: &runtime::Handle,
) -> Result<Arc<dyn Store>, HostError> {
    let (url, cluster) = (config.store.clone(), config.cluster.clone());
    let request_timeout = config.timings.request_timeout;
    let opened = election.spawn(async move {
        let store = store::open(&url, &cluster, request_timeout)?;
        match store.check().await {
            Err(error) if !error.is_transient() => Err(error),
            // The first attempt to get a session will report the error.
            Ok(()) | Err(_) => Ok(store),
        }
    });
    opened.await.map_err(HostError::Broken)?.map_err(HostError::Store)
}
