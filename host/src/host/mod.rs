//! A host: all rooms put together, from its configuration to its last breath.
//!
//! Start: the control API listens, plugins are prepared, the store is opened; then the heart
//! beats. Stop: terms end and the session is given back, with the control API up to the end
//! to say so.

mod announce;
mod asking;
mod error;
mod labour;
mod people;
mod status;

use std::{collections::BTreeSet, pin::pin, sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::{net::TcpListener, runtime, sync::watch, task::spawn_blocking};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

pub use error::{Fault, HostError};

use self::{announce::Announcer, labour::Labour, people::People, status::Observer};
use crate::{
    action::{Catalog, Desk, Jobs, Lobby, Offers, Preparing},
    api::{self, Desks, Entrance, JobSource, LogSource},
    cluster::{Clocks, Passport, Peers},
    relay::{self, Relay},
    term::{self, GapWatch, Gaps, Health, Ranking, Readiness, Report, Sidelines, Standby},
    wall_clock::WallClock,
};
use soloist_config::{Config, Reading};
use soloist_guests::plugin::Engine;
use soloist_heart::Group;
use soloist_leadership::{
    Driver, ElectionThread, Follower, Freshness, Rehearsal, Rehearsed, Sight, Watchdog, Witness,
};
use soloist_stores::{self as store, Member, Store, Topic};
use soloist_telemetry::{journal::Journal, measure::Measurements};
use soloist_trace::Exporter;

/// Runs a host until `shutdown` says why it should stop, and then until it has.
/// `witness` is told of its sessions.
///
/// # Errors
/// Why it could not start. Once it has started, it goes on until it is told to stop.
pub async fn run(
    config: Config,
    witness: Box<dyn Witness>,
    shutdown: impl Future<Output = &'static str>,
) -> Result<(), HostError> {
    let announcer = Announcer::of_environment();
    let (beats, over) = (TaskTracker::new(), CancellationToken::new());
    // From the beginning: compiling takes its time, and a host that comes back is watched.
    beats.spawn(announcer.clone().beat(over.clone()));
    let _over = over.clone().drop_guard();
    let exporter = (config.traces.as_ref())
        .map(|traces| Exporter::start(traces, &config.host.name))
        .transpose()
        .map_err(HostError::Traces)?;
    let thread = ElectionThread::start().map_err(HostError::System)?;
    announcer.include(thread.handle());
    let mut shutdown = pin!(shutdown);
    tokio::select! {
        prepared = Prepared::by(&config, thread.handle()) => {
            let host = Host::start(&config, &thread, prepared?, witness)?;
            announcer.ready();
            host.perform(&announcer, shutdown).await;
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
struct Prepared {
    catalog: Catalog,
    ranking: Ranking,
    listener: TcpListener,
    entrance: Arc<Entrance>,
    store: Arc<dyn Store>,
    peers: Peers,
    measurements: Measurements,
}

impl Prepared {
    /// What `config` describes. The control API answers all the while, and says what is waited
    /// for: compiling takes its time, and a host that is only slow is not to be killed.
    async fn by(config: &Config, thread: &runtime::Handle) -> Result<Self, HostError> {
        let measurements = Measurements::start().map_err(HostError::Measurements)?;
        let peers = Peers::new(&Passport::of(&config.host)).map_err(HostError::Tls)?;
        let listener = listen(config).await?;
        let bound = listener.local_addr().map_err(HostError::System)?;
        let entrance = Arc::new(Entrance::of(&config.host, bound).map_err(HostError::Entrance)?);
        let (told_to, told) = watch::channel(Preparing::default());
        let preparing = async {
            let (catalog, ranking) = prepare(config, told_to).await?;
            let store = open_store(config, thread).await?;
            Ok::<_, HostError>((catalog, ranking, store))
        };
        let (catalog, ranking, store) =
            api::while_starting(&listener, &entrance, told, preparing).await?;
        Ok(Self { catalog, ranking, listener, entrance, store, peers, measurements })
    }
}

/// A host whose parts are all running.
struct Host {
    name: Arc<str>,
    store: Arc<dyn Store>,
    driver: soloist_leadership::Handle,
    relay: relay::Handle,
    labour: Labour,
    drain: Duration,
    around: TaskTracker,
    stop: CancellationToken,
    /// Cancelled when people want this host to leave the cluster.
    leave: CancellationToken,
}

impl Host {
    fn start(
        config: &Config,
        thread: &ElectionThread,
        prepared: Prepared,
        witness: Box<dyn Witness>,
    ) -> Result<Self, HostError> {
        let Prepared { catalog, ranking, listener, entrance, store, peers, measurements } =
            prepared;
        let listen = listener.local_addr().map_err(HostError::System)?;
        let member = member(config, config.host.url(listen));
        let (roster_to, roster) = watch::channel(None);
        let freshness = Freshness::default();
        let sight = Sight::new(roster.clone(), freshness.clone(), config.timings);
        let (programme, engine) = (catalog.programme(), catalog.engine());
        let state = store.state().map_err(HostError::Store)?;
        let ledger = store.ledger().map_err(HostError::Store)?;
        let (clock, wall) = WallClock::of_this_machine();
        let (compared_to, compared) = watch::channel(None);
        let clock = clock.compared_by(compared);
        let jobs = Jobs { ledger, desk: Desk::default(), clock: clock.clone() };
        let (lobby, name) = (Lobby::default(), Arc::clone(&config.host.name));
        let journal = Journal::default();
        let relay =
            Relay::new(name, peers.clone(), lobby.clone(), programme.clone(), roster.clone());
        let health = Health::new(
            Arc::clone(&config.host.name),
            config.timings.cool_down_max,
            roster.clone(),
        );
        let sidelines = Sidelines::new(Arc::clone(&config.host.name));
        let mut labour =
            Labour::start(config, &peers, &store, &programme, catalog.failures(), &roster)
                .map_err(HostError::Store)?;
        let watchdog = Watchdog::start(config.timings).map_err(HostError::System)?;
        // To the end: what is torn down moves as well.
        drop(tokio::spawn(watchdog.pulse("this host")));
        drop(thread.handle().spawn(watchdog.pulse("its election")));
        let (member_to, said) = watch::channel(member.clone());
        let performer = Arc::new(term::Actions {
            state: Arc::clone(&state),
            tasks: labour.calls(),
            programme: programme.clone(),
            lobby: lobby.clone(),
            jobs: jobs.clone(),
            catalog: catalog.failures(),
            health: health.clone(),
            sidelines: sidelines.clone(),
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
            spread: spread(config),
            roster: roster.clone(),
            freshness: freshness.clone(),
            witness,
            journal: journal.clone(),
        }
        .start(thread.handle(), runtime::Handle::current());
        let saying = say(member_to, health.report(), labour.offers());
        let readiness = Readiness {
            programme: programme.clone(),
            lobby: lobby.clone(),
            member: member.clone(),
            roster: roster.clone(),
            view: driver.view(),
            health,
            clock: clock.clone(),
            events: driver.events(),
        };
        labour.take_casts(config, driver.view(), roster.clone());
        let leave = CancellationToken::new();
        let people = People {
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
        let standby = Standby { programme: programme.clone(), roster: roster.clone(), sidelines };
        let rehearsal = Rehearsal {
            host: Arc::clone(&config.host.name),
            store: Arc::clone(&store),
            timings: config.timings,
            view: driver.view(),
            journal: journal.clone(),
        };
        let (rehearsed_to, rehearsed) = watch::channel(Rehearsed::default());
        let gap_watch = GapWatch {
            host: Arc::clone(&config.host.name),
            patience: config.timings.ttl * 2,
            programme: programme.clone(),
            sight: sight.clone(),
            view: driver.view(),
            journal: journal.clone(),
        };
        let (gaps_to, gaps) = watch::channel(Gaps::default());
        let observer = Observer {
            workshop: labour.workshop(),
            cluster: config.cluster.clone(),
            member,
            groups: config.groups.clone(),
            strategies,
            listen,
            store: store.label().to_owned(),
            programme,
            lobby,
            engine,
            view: driver.view(),
            sight,
            rehearsed,
            gaps,
            clock: clock.clone(),
            measurements: measurements.clone(),
        };
        let (host, retry) = (Arc::clone(&config.host.name), config.timings.retry);
        let clocks = Clocks {
            host: Arc::clone(&host),
            clock,
            peers: peers.clone(),
            roster: roster.clone(),
            compared: compared_to,
        };
        let job_source = JobSource {
            host: Arc::clone(&host),
            programme: observer.programme.clone(),
            peers: peers.clone(),
            roster: roster.clone(),
            jobs,
            obstacle: no_claims(observer.rehearsed.clone()),
        };
        let logs = LogSource {
            host: Arc::clone(&host),
            programme: observer.programme.clone(),
            peers,
            roster,
            lines: observer.engine.lines().clone(),
        };
        let clients = observer.engine.budget().clients().clone();
        let (performed, known) = (observer.programme.clone(), logs.roster.clone());
        let name = Arc::clone(&host);
        let follower = Follower {
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
        around.spawn(catalog.keep_up(stop.clone()));
        around.spawn(measurements.keep_up(stop.clone()));
        around.spawn(wall.run(stop.clone()));
        around.spawn(clocks.run(stop.clone()));
        let (observer, commands) = (Arc::new(observer), Arc::new(commands));
        let (jobs, tasks, asked) = (Arc::new(job_source), labour.desk(), relay.clone());
        let logs = Arc::new(logs);
        let desks = Desks {
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
            let asking = async move { asking::tell(&performed, &name, &url, known).await };
            around.spawn(stop.clone().run_until_cancelled_owned(asking).map(drop));
        }
        if config.host.asks_who() && !config.host.has_passport() {
            warn!(
                "other hosts that ask for a token refuse this one: give all of them the same \
                 `peer_token` in [api]"
            );
        }
        Ok(Self { name, store, driver, relay, labour, drain, around, stop, leave })
    }

    /// Goes on until `shutdown` says why it should stop, and then until it has.
    async fn perform(self, announcer: &Announcer, shutdown: impl Future<Output = &'static str>) {
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
        self.labour.rest().await;
        if self.leave.is_cancelled() {
            self.forget().await;
        }
        if let Err(error) = self.driver.shut_down().await {
            warn!(%error, "the driver broke down; the session will run out by itself");
        }
        // What came in for the next leader is still handed on to it.
        self.relay.finish(self.drain).await;
        self.labour.close().await;
        self.stop.cancel();
        self.around.close();
        self.around.wait().await;
    }

    /// Takes this host out of the list of those that are known: who has removed it sees by that
    /// that it has stopped, and did not merely fall silent. Nothing of a term is alive.
    async fn forget(&self) {
        if let Err(error) = self.store.erase(&Topic::Known(self.name.to_string())).await {
            warn!(%error, "this host stays in the list of those that are known");
        }
    }
}

/// Compiles and links everything, before anybody stands for election.
async fn prepare(
    config: &Config,
    told: watch::Sender<Preparing>,
) -> Result<(Catalog, Ranking), HostError> {
    let source = Arc::clone(&config.source);
    let Config { actions, refused, .. } = config.clone();
    let (groups, functions) = (config.groups.clone(), config.functions.clone());
    let prepared = spawn_blocking(move || -> Result<_, HostError> {
        let engine = Arc::new(Engine::of_this_program(functions)?);
        let ranking = Ranking::load(&engine, &groups);
        Ok((Catalog::prepare(source, Reading { actions, refused }, engine, &told), ranking))
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
fn no_claims(
    rehearsed: watch::Receiver<Rehearsed>,
) -> Box<dyn Fn() -> Option<String> + Send + Sync> {
    Box::new(move || match &*rehearsed.borrow() {
        Rehearsed::Badly(why) => {
            Some(format!("by what this host tries, none can be claimed: {why}"))
        }
        Rehearsed::NotYet | Rehearsed::Well => None,
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
async fn say(
    to: watch::Sender<Member>,
    mut failing: watch::Receiver<Report>,
    mut offers: watch::Receiver<Offers>,
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
fn spread(config: &Config) -> BTreeSet<Group> {
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
