//! `soloist demo`: runs three hosts on this machine, as real processes of this executable.
//!
//! Invariant: no host outlives the demo, however the demo ends: each host holds the read end of a
//! pipe whose write end is held here.

mod demo_backend;
mod demo_folder;
mod demo_host;
mod demo_host_config;
mod demo_output;
mod demo_plugins;
mod demo_ports;
mod demo_settings;
mod first_requests;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use parking_lot::Mutex;
use tokio::{
    sync::mpsc,
    task::{JoinSet, spawn_blocking},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{ExitError, api_client::ApiClient, signals::Signals};
use crate::cluster::PeerCredentials;
use demo_folder::DemoFolder;
use demo_host::DemoHost;
use demo_host_config::DemoHostConfig;
use demo_output::DemoOutput;
use demo_settings::DemoSettings;
use soloist_config::{DAY, SECOND, span};
use soloist_guests::plugin::{Plugin, PluginEngine};

/// How long a killed host stays away: longer than the TTL, so that another one takes over
/// visibly.
const ABSENCE: Duration = Duration::from_secs(4);
/// The first pause before a host that ended by itself is restarted; it doubles each time.
const BACK_OFF: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(15);
/// After running this long a host gets the first pause again.
const SETTLED: Duration = Duration::from_secs(30);
/// How often to look who leads.
const LOOK: Duration = Duration::from_millis(300);
/// How long a host may take to stop before it is killed.
const PATIENCE: Duration = Duration::from_secs(15);

/// The processes of the hosts, by the names of these. Clones share them.
type ProcessIds = Arc<Mutex<BTreeMap<&'static str, u32>>>;

/// Run three hosts on this machine, and watch one take over from another
///
/// It needs nothing else, and leaves nothing behind: store and settings are in a temporary folder.
/// Ctrl-C ends it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist demo
  soloist demo --kill-leader-every 10s
  soloist demo --plugins my-plugins")]
pub(super) struct DemoArgs {
    /// The plugins folder [default: plugins, or without one a plugin that is part of this program]
    #[arg(long, env = "SOLOIST_PLUGINS", value_name = "DIR", hide_env_values = true)]
    plugins: Option<PathBuf>,
    /// Kill the leader again and again after this time, 1s to 24h
    #[arg(long, value_name = "DURATION", value_parser = span::<SECOND, DAY>)]
    kill_leader_every: Option<Duration>,
}

/// Runs the demo until Ctrl-C.
pub(super) async fn main(args: DemoArgs) -> Result<(), ExitError> {
    let scratch = DemoFolder::set_up(args.plugins.as_deref())?;
    let (signal, _second) = Signals::listen(false)?.split();
    let show = DemoOutput::new();
    compile(&scratch.plugins, &scratch.settings, show).await;
    let result = perform(&scratch, args.kill_leader_every, show, signal).await;
    scratch.remove()?;
    result
}

/// Compiles each plugin once before the addresses are shown. Otherwise three hosts that start
/// together would each compile it. Errors are left to the hosts to report.
async fn compile(plugins: &Path, settings: &DemoSettings, show: DemoOutput) {
    let files: Vec<_> = settings.plugins().map(|name| plugins.join(name + ".wasm")).collect();
    show.note("compiling the plugins, unless this machine has done so before");
    let compiled = spawn_blocking(move || {
        let Ok(engine) = PluginEngine::for_this_program(None) else { return };
        for file in files {
            let _ = Plugin::load(&engine, &file);
        }
    });
    let _ = compiled.await;
}

/// Runs the hosts until `signal`.
async fn perform(
    scratch: &DemoFolder,
    kill_every: Option<Duration>,
    show: DemoOutput,
    signal: impl Future<Output = &'static str>,
) -> Result<(), ExitError> {
    let DemoFolder { hosts, settings, notes, .. } = scratch;
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    let mut kills = BTreeMap::new();
    let processes = ProcessIds::default();
    show.banner(hosts, settings, kill_every);
    notes.iter().for_each(|note| show.note(note));
    for host in hosts {
        let (kill, killed) = mpsc::channel(1);
        kills.insert(host.name, kill);
        running.spawn(keep_up(host.clone(), show, processes.clone(), killed, stop.clone()));
    }
    let killer = async {
        match kill_every {
            Some(every) => kill_leaders(hosts, every, &kills, show).await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        _ = signal => Ok(()),
        result = killer => result,
        result = around(hosts, settings, show) => result,
        never = announce_leaders(hosts, &processes, show) => match never {},
        // Hosts end by themselves only if they cannot be started.
        Some(ended) = running.join_next() => ended.unwrap_or_else(|error| {
            Err(ExitError::internal("the demo lost a host", &error))
        }),
    };
    show.note("stopping all hosts");
    stop.cancel();
    while running.join_next().await.is_some() {}
    result
}

/// Runs the services next to the cluster and sends the first requests.
async fn around(
    hosts: &[DemoHostConfig],
    settings: &DemoSettings,
    show: DemoOutput,
) -> Result<(), ExitError> {
    tokio::select! {
        result = demo_backend::serve(settings.ports().neighbour, show) => result,
        result = first_requests::send_all(hosts, settings, show) => result.map(|never| match never {}),
    }
}

/// Starts a host, and restarts it whenever it has ended, until `stop`.
async fn keep_up(
    host: DemoHostConfig,
    show: DemoOutput,
    processes: ProcessIds,
    mut kill: mpsc::Receiver<()>,
    stop: CancellationToken,
) -> Result<(), ExitError> {
    let mut back_off = BACK_OFF;
    loop {
        let mut child = DemoHost::start(&host, show)?;
        let started = Instant::now();
        show.note(&format!("host {} is process {}", host.name, child.pid()));
        processes.lock().insert(host.name, child.pid());
        let pause = tokio::select! {
            () = stop.cancelled() => {
                child.stop(PATIENCE).await;
                return Ok(());
            }
            Some(()) = kill.recv() => {
                child.kill().await;
                show.note(&format!("killed the leader, host {} (SIGKILL)", host.name));
                ABSENCE
            }
            end = child.wait() => {
                back_off = if started.elapsed() > SETTLED { BACK_OFF } else { back_off };
                let pause = back_off;
                back_off = (back_off * 2).min(BACK_OFF_MAX);
                let again = humantime::format_duration(pause);
                show.note(&format!("host {} ended: {end}; again in {again}", host.name));
                pause
            }
        };
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return Ok(());
        }
    }
}

/// Kills the leader, once per `every`.
async fn kill_leaders(
    hosts: &[DemoHostConfig],
    every: Duration,
    kills: &BTreeMap<&'static str, mpsc::Sender<()>>,
    show: DemoOutput,
) -> Result<(), ExitError> {
    loop {
        tokio::time::sleep(every).await;
        match leader(hosts).await.and_then(|leader| kills.get(&*leader)) {
            // If the channel is full, the host is already being killed.
            Some(kill) => drop(kill.try_send(())),
            None => show.note("no host leads yet, so there is no leader to kill"),
        }
    }
}

/// Says after each change of leader who leads, and how to kill it.
async fn announce_leaders(
    hosts: &[DemoHostConfig],
    processes: &ProcessIds,
    show: DemoOutput,
) -> Infallible {
    let mut announced = None;
    loop {
        if let Some(leader) = leader(hosts).await {
            let pid = processes.lock().get(&*leader).copied();
            let leads = pid.map(|pid| format!("{leader} leads: kill -9 {pid}"));
            if let Some(leads) = leads.filter(|leads| announced.as_ref() != Some(leads)) {
                show.note(&leads);
                announced = Some(leads);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The leader of the first group that has one, as seen by the first host that answers.
async fn leader(hosts: &[DemoHostConfig]) -> Option<String> {
    for host in hosts {
        let client = ApiClient::new([&*host.url()], &PeerCredentials::default()).ok()?;
        if let Ok(status) = client.status().await {
            return status.groups.into_values().find_map(|group| group.leader);
        }
    }
    None
}
