//! A host: all rooms put together, from its configuration to its last breath.
//!
//! Start: the control API listens, plugins are prepared, the store is opened; then the heart
//! beats. Stop: terms end and the session is given back, with the control API up to the end
//! to say so.

mod cluster_services;
mod error;
mod service_notifier;
mod status;
mod task_service;
mod usage_hints;

use std::{collections::BTreeSet, pin::pin, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::{net::TcpListener, runtime, sync::watch, task::spawn_blocking};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

pub use error::{ErrorCategory, HostError};

use self::{
    cluster_services::ClusterServices, service_notifier::ServiceNotifier, status::HostStatusSource,
    task_service::TaskService,
};
use crate::{
    action::{ActionDirectory, Catalog, JobServices, JobTriggers, Preparing, TaskOffers},
    api::{self, AccessControl, ApiServices, JobApi, LogApi},
    cluster::{ClockComparer, PeerClient, PeerCredentials},
    relay::{self, Relay},
    term::{
        self, ActionHealth, FailureReport, GapWatch, Gaps, PluginRanking, ReadinessWatch,
        StandbyHooks, StandbyNotifier,
    },
    wall_clock::WallClock,
};
use soloist_config::{ActionSet, Config};
use soloist_guests::plugin::PluginEngine;
use soloist_heart::Group;
use soloist_leadership::{
    Driver, ElectionThread, Rehearsal, RehearsalResult, RosterFollower, RosterFreshness,
    RosterView, SessionObserver, Watchdog,
};
use soloist_stores::{self as store, Member, NoteTopic, Store};
use soloist_telemetry::{journal::Journal, measure::Measurements};
use soloist_trace::TraceExporter;

/// Runs a host until `shutdown` says why it should stop, and then until it has.
/// `witness` is told of its sessions.
///
/// # Errors
/// Why it could not start. Once it has started, it goes on until it is told to stop.
pub async fn run(
    config: Config,
    witness: Box<dyn SessionObserver>,
    shutdown: impl Future<Output = &'static str>,
) -> Result<(), HostError> {
    let announcer = ServiceNotifier::of_environment();
    let (beats, over) = (TaskTracker::new(), CancellationToken::new());
    // From the beginning: compiling takes its time, and a host that comes back is watched.
    beats.spawn(announcer.clone().run_watchdog(over.clone()));
    let _over = over.clone().drop_guard();
    let exporter = (config.traces.as_ref())
        .map(|traces| TraceExporter::start(traces, &config.host.name))
        .transpose()
        .map_err(HostError::Traces)?;
    let thread = ElectionThread::start().map_err(HostError::System)?;
    announcer.watch_election(thread.handle());
    let mut shutdown = pin!(shutdown);
    tokio::select! {
        prepared = PreparedHost::by(&config, thread.handle()) => {
            let host = RunningHost::start(&config, &thread, prepared?, witness)?;
            announcer.ready();
            host.run(&announcer, shutdown).await;
        }
        reason = &mut shutdown => {
            info!(event = "shutdown", reason, "stopping before it has begun: {reason}");
            announcer.stopping();
        }
    }
    if let Some(exporter) = exporter {
        exporter.stop().await;
    }
    over.cancel();
    beats.close();
    beats.wait().await;
    thread.stop();
    info!(event = "goodbye", "stopped");
    Ok(())
}

/// What must be there before anything runs.
struct PreparedHost {
    catalog: Catalog,
    ranking: PluginRanking,
    listener: TcpListener,
    entrance: Arc<AccessControl>,
    store: Arc<dyn Store>,
    peers: PeerClient,
    measurements: Measurements,
}

impl PreparedHost {
    /// What `config` describes. The control API answers all the while, and says what is waited
    /// for: compiling takes its time, and a host that is only slow is not to be killed.
    async fn by(config: &Config, thread: &runtime::Handle) -> Result<Self, HostError> {
        let measurements = Measurements::start().map_err(HostError::Measurements)?;
        let peers = PeerClient::new(&PeerCredentials::of(&config.host)).map_err(HostError::Tls)?;
        let listener = listen(config).await?;
        let bound = listener.local_addr().map_err(HostError::System)?;
        let entrance =
            Arc::new(AccessControl::of(&config.host, bound).map_err(HostError::AccessControl)?);
        let (told_to, told) = watch::channel(Preparing::default());
        let preparing = async {
            let (catalog, ranking) = prepare(config, told_to).await?;
            let store = open_store(config, thread).await?;
            Ok::<_, HostError>((catalog, ranking, store))
        };
        let (catalog, ranking, store) =
            api::serve_while_starting(&listener, &entrance, told, preparing).await?;
        Ok(Self { catalog, ranking, listener, entrance, store, peers, measurements })
    }
}

/// A host whose parts are all running.
struct RunningHost {
    name: Arc<str>,
    store: Arc<dyn Store>,
    driver: soloist_leadership::DriverHandle,
    relay: relay::RunningRelay,
    tasks: TaskService,
    drain: Duration,
    around: TaskTracker,
    stop: CancellationToken,
    /// Cancelled when people want this host to leave the cluster.
    leave: CancellationToken,
}

impl RunningHost {
    fn start(
        config: &Config,
        thread: &ElectionThread,
        prepared: PreparedHost,
        witness: Box<dyn SessionObserver>,
    ) -> Result<Self, HostError> {
        let PreparedHost { catalog, ranking, listener, entrance, store, peers, measurements } =
            prepared;
        let listen = listener.local_addr().map_err(HostError::System)?;
        let member = member(config, config.host.url(listen));
        let (roster_to, roster) = watch::channel(None);
        let freshness = RosterFreshness::default();
        let sight = RosterView::new(roster.clone(), freshness.clone(), config.timings);
        let (programme, engine) = (catalog.programme(), catalog.engine());
        let state = store.state().map_err(HostError::Store)?;
        let ledger = store.ledger().map_err(HostError::Store)?;
        let (clock, wall) = WallClock::of_this_machine();
        let (compared_to, compared) = watch::channel(None);
        let clock = clock.compared_by(compared);
        let jobs = JobServices { ledger, triggers: JobTriggers::default(), clock: clock.clone() };
        let (lobby, name) = (ActionDirectory::default(), Arc::clone(&config.host.name));
        let journal = Journal::default();
        let relay =
            Relay::new(name, peers.clone(), lobby.clone(), programme.clone(), roster.clone());
        let health = ActionHealth::new(
            Arc::clone(&config.host.name),
            config.timings.cool_down_max,
            roster.clone(),
        );
        let sidelines = StandbyHooks::new(Arc::clone(&config.host.name));
        let mut labour =
            TaskService::start(config, &peers, &store, &programme, catalog.failures(), &roster)
                .map_err(HostError::Store)?;
        let watchdog = Watchdog::start(config.timings).map_err(HostError::System)?;
        // To the end: what is torn down moves as well.
        drop(tokio::spawn(watchdog.pulse("this host")));
        drop(thread.handle().spawn(watchdog.pulse("its election")));
        let (member_to, said) = watch::channel(member.clone());
        let performer = Arc::new(term::ActionPerformer {
            state: Arc::clone(&state),
            task_calls: labour.calls(),
            programme: programme.clone(),
            directory: lobby.clone(),
            jobs: jobs.clone(),
            trial_failures: catalog.failures(),
            health: health.clone(),
            standby_hooks: sidelines.clone(),
            stop_budget: config.timings.stop_budget,
            drain: config.timings.drain,
        });
        let groups = programme.borrow().groups();
        let driver = Driver {
            timings: config.timings,
            member: said,
            store: Arc::clone(&store),
            groups,
            performer,
            watchdog,
            spread: spread_groups(config),
            roster: roster.clone(),
            freshness: freshness.clone(),
            session_observer: witness,
            journal: journal.clone(),
        }
        .start(thread.handle(), runtime::Handle::current());
        let saying = publish_member(member_to, health.report(), labour.offers());
        let readiness = ReadinessWatch {
            programme: programme.clone(),
            directory: lobby.clone(),
            member: member.clone(),
            roster: roster.clone(),
            view: driver.view(),
            health,
            clock: clock.clone(),
            events: driver.events(),
        };
        labour.start_casts(config, driver.view(), roster.clone());
        let leave = CancellationToken::new();
        let people = ClusterServices {
            config,
            member: &member,
            peers: &peers,
            store: &store,
            roster: &roster,
            sight: &sight,
            driver: &driver,
            journal: &journal,
        };
        let strategies = ranking.refused().to_owned();
        let strategist = people.strategist(ranking, leave.clone());
        let (registrar, commands) = (people.registrar(), people.commands());
        let standby = StandbyNotifier {
            programme: programme.clone(),
            roster: roster.clone(),
            hooks: sidelines,
        };
        let rehearsal = Rehearsal {
            host: Arc::clone(&config.host.name),
            store: Arc::clone(&store),
            timings: config.timings,
            view: driver.view(),
            journal: journal.clone(),
        };
        let (rehearsed_to, rehearsed) = watch::channel(RehearsalResult::default());
        let gap_watch = GapWatch {
            host: Arc::clone(&config.host.name),
            patience: config.timings.ttl * 2,
            programme: programme.clone(),
            sight: sight.clone(),
            view: driver.view(),
            journal: journal.clone(),
        };
        let (gaps_to, gaps) = watch::channel(Gaps::default());
        let observer = HostStatusSource {
            pools: labour.pools(),
            cluster: config.cluster.clone(),
            member,
            groups: config.groups.clone(),
            strategies,
            listen,
            store: store.label().to_owned(),
            programme,
            directory: lobby,
            engine,
            view: driver.view(),
            sight,
            rehearsed,
            gaps,
            clock: clock.clone(),
            measurements: measurements.clone(),
        };
        let (host, retry) = (Arc::clone(&config.host.name), config.timings.retry);
        let clocks = ClockComparer {
            host: Arc::clone(&host),
            clock,
            peers: peers.clone(),
            roster: roster.clone(),
            compared: compared_to,
        };
        let job_source = JobApi {
            host: Arc::clone(&host),
            programme: observer.programme.clone(),
            peers: peers.clone(),
            roster: roster.clone(),
            jobs,
            obstacle: claim_obstacle(observer.rehearsed.clone()),
        };
        let logs = LogApi {
            host: Arc::clone(&host),
            programme: observer.programme.clone(),
            peers,
            roster,
            lines: observer.engine.lines().clone(),
        };
        let clients = observer.engine.budget().clients().clone();
        let (performed, known) = (observer.programme.clone(), logs.roster.clone());
        let name = Arc::clone(&host);
        let follower = RosterFollower {
            store: Arc::clone(&store),
            host,
            freshness,
            journal: journal.clone(),
            retry,
        };

        let (around, stop) = (TaskTracker::new(), CancellationToken::new());
        around.spawn_on(follower.run(roster_to, stop.clone()), thread.handle());
        around.spawn_on(rehearsal.run(rehearsed_to, stop.clone()), thread.handle());
        around.spawn(stop.clone().run_until_cancelled_owned(saying).map(drop));
        around.spawn(strategist.run(stop.clone()));
        around.spawn(readiness.run(stop.clone()));
        around.spawn(registrar.run(stop.clone()));
        around.spawn(standby.run(stop.clone()));
        around.spawn(gap_watch.run(gaps_to, stop.clone()));
        around.spawn(catalog.follow_folder(stop.clone()));
        around.spawn(measurements.run_upkeep(stop.clone()));
        around.spawn(wall.run(stop.clone()));
        around.spawn(clocks.run(stop.clone()));
        let (observer, commands) = (Arc::new(observer), Arc::new(commands));
        let (jobs, tasks, asked) = (Arc::new(job_source), labour.api(), relay.clone());
        let logs = Arc::new(logs);
        let desks = ApiServices {
            source: observer,
            state,
            journal,
            commands,
            jobs,
            logs,
            tasks,
            relay: asked,
            entrance,
            clients,
        };
        around.spawn(api::serve(listener, desks, stop.clone()));
        let (relay, drain) = (relay.start(), config.timings.drain);
        let scheme = config.host.scheme();
        info!(
            target: "soloist::api", event = "listening", %listen,
            "control API on {scheme}://{listen}"
        );
        // Whoever has just named one plugin looks on, and wants to try it.
        if config.all_or_none {
            let url = format!("{scheme}://{listen}");
            let (performed, name) = (Arc::clone(&performed.borrow()), Arc::clone(&name));
            let asking =
                async move { usage_hints::log_usage_hints(&performed, &name, &url, known).await };
            around.spawn(stop.clone().run_until_cancelled_owned(asking).map(drop));
        }
        if config.host.requires_credentials() && !config.host.can_operate_peers() {
            warn!(
                "other hosts that ask for a token refuse this one: give all of them the same \
                 `peer_token` in [api]"
            );
        }
        Ok(Self { name, store, driver, relay, tasks: labour, drain, around, stop, leave })
    }

    /// Goes on until `shutdown` says why it should stop, and then until it has.
    async fn run(self, announcer: &ServiceNotifier, shutdown: impl Future<Output = &'static str>) {
        let reason = tokio::select! {
            reason = shutdown => reason,
            () = self.leave.cancelled() => "removed from the cluster",
        };
        info!(event = "shutdown", reason, "stopping: {reason}");
        announcer.stopping();
        self.stop().await;
    }

    async fn stop(mut self) {
        self.relay.close();
        // Others lead while the casts of this host are finished under its session.
        self.driver.stand_down();
        self.tasks.drain().await;
        if self.leave.is_cancelled() {
            self.erase_own_entry().await;
        }
        if let Err(error) = self.driver.shut_down().await {
            warn!(%error, "the driver broke down; the session will run out by itself");
        }
        // What came in for the next leader is still handed on to it.
        self.relay.finish(self.drain).await;
        self.tasks.close().await;
        self.stop.cancel();
        self.around.close();
        self.around.wait().await;
    }

    /// Takes this host out of the list of those that are known: who has removed it sees by that
    /// that it has stopped, and did not merely fall silent. Nothing of a term is alive.
    async fn erase_own_entry(&self) {
        if let Err(error) = self.store.erase_note(&NoteTopic::Known(self.name.to_string())).await {
            warn!(%error, "this host stays in the list of those that are known");
        }
    }
}

/// Compiles and links everything, before anybody stands for election.
async fn prepare(
    config: &Config,
    told: watch::Sender<Preparing>,
) -> Result<(Catalog, PluginRanking), HostError> {
    let source = Arc::clone(&config.source);
    let Config { actions, refused, .. } = config.clone();
    let (groups, functions) = (config.groups.clone(), config.functions.clone());
    let prepared = spawn_blocking(move || -> Result<_, HostError> {
        let engine = Arc::new(PluginEngine::for_this_program(functions)?);
        let ranking = PluginRanking::load(&engine, &groups);
        Ok((Catalog::prepare(source, ActionSet { actions, refused }, engine, &told), ranking))
    });
    let (catalog, ranking) = prepared.await.map_err(HostError::Broken)??;
    let programme = Arc::clone(&catalog.programme().borrow());
    match programme.refused.first() {
        Some(refused) if config.all_or_none => {
            return Err(HostError::Action { reason: refused.reason.clone() });
        }
        None if programme.actions.is_empty() => {
            warn!("there is nothing to perform yet: put a component into the plugins folder");
        }
        _ => {}
    }
    Ok((catalog, ranking))
}

/// Why this host could claim no firing now, by its rehearsals.
fn claim_obstacle(
    rehearsed: watch::Receiver<RehearsalResult>,
) -> Box<dyn Fn() -> Option<String> + Send + Sync> {
    Box::new(move || match &*rehearsed.borrow() {
        RehearsalResult::Refused(why) => {
            Some(format!("by what this host tries, none can be claimed: {why}"))
        }
        RehearsalResult::NotYet | RehearsalResult::Accepted => None,
    })
}

/// Opens the store on the election thread, and asks it for a sign of life: what
/// waiting cannot mend ends the start; a store that is only down is waited for.
async fn open_store(
    config: &Config,
    thread: &runtime::Handle,
) -> Result<Arc<dyn Store>, HostError> {
    let (url, cluster) = (config.store.clone(), config.cluster.clone());
    let request_timeout = config.timings.request_timeout;
    let opened = thread.spawn(async move {
        let store = store::open(&url, &cluster, request_timeout)?;
        match store.check().await {
            Err(error) if !error.is_transient() => Err(error),
            // The session's first try will say it.
            Ok(()) | Err(_) => Ok(store),
        }
    });
    opened.await.map_err(HostError::Broken)?.map_err(HostError::Store)
}

/// Keeps what this host says of itself among the members: beside what stays the same, what
/// fails on it, and what tasks it takes calls of.
async fn publish_member(
    to: watch::Sender<Member>,
    mut failing: watch::Receiver<FailureReport>,
    mut offers: watch::Receiver<TaskOffers>,
) {
    loop {
        to.send_modify(|member| {
            member.failing = failing.borrow_and_update().clone();
            member.tasks = BTreeSet::clone(&offers.borrow_and_update());
        });
        tokio::select! {
            Ok(()) = failing.changed() => {}
            Ok(()) = offers.changed() => {}
            else => return,
        }
    }
}

async fn listen(config: &Config) -> Result<TcpListener, HostError> {
    let listen = config.host.listen;
    let failed = |source| HostError::Listen { listen, source };
    TcpListener::bind(listen).await.map_err(failed)
}

/// The groups that are spread.
fn spread_groups(config: &Config) -> BTreeSet<Group> {
    let spread = config.groups.iter().filter(|(_, group)| group.spread);
    spread.map(|(group, _)| group.clone()).collect()
}

fn member(config: &Config, url: String) -> Member {
    Member {
        url,
        labels: config.host.labels.clone(),
        priority: config.host.priority,
        version: env!("CARGO_PKG_VERSION").into(),
        ..Member::of_this_process(&*config.host.name)
    }
}
