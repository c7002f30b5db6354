//! A host whose parts are all running: its start, and its end.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    HostError, PreparedHost, ServiceNotifier, background::BackgroundTasks, context::HostContext,
    status::HostStatusSource, task_service::TaskService, usage_hints,
};
use crate::{
    api::{self, AccessControl, ApiServices},
    relay::{Relay, RunningRelay},
};
use soloist_config::Config;
use soloist_leadership::{DriverHandle, ElectionSpec, ElectionThread, SessionObserver, Watchdog};
use soloist_stores::NoteTopic;

/// A running host.
pub(super) struct RunningHost {
    context: HostContext,
    driver: DriverHandle,
    relay: RunningRelay,
    tasks: TaskService,
    background: BackgroundTasks,
    /// Cancelled when people want this host to leave the cluster.
    leave: CancellationToken,
}

impl RunningHost {
    pub(super) fn start(
        config: &Arc<Config>,
        thread: &ElectionThread,
        prepared: PreparedHost,
        observer: Box<dyn SessionObserver>,
    ) -> Result<Self, HostError> {
        let (context, feeds, election) = HostContext::new(config, &prepared)?;
        let PreparedHost { catalog, ranking, listener, access_control, .. } = prepared;
        let mut tasks =
            TaskService::start(&context, catalog.failures()).map_err(HostError::Store)?;
        let performer = context.performer(&tasks, catalog.failures());
        let background = BackgroundTasks::default();
        let spec = ElectionSpec {
            member: feeds.member.subscribe(),
            groups: context.programme.borrow().groups(),
            spread: context.spread_groups(),
            performer: Arc::new(performer),
            watchdog: start_watchdog(config, thread)?,
            session_observer: observer,
        };
        let driver = background.start_election(election, spec, thread.handle());
        tasks.start_call_queue_worker(&context, driver.view());
        let (relay, leave) = (context.relay(), CancellationToken::new());
        let status = HostStatusSource {
            unreached: relay.unreached_leaders(),
            pools: tasks.pools(),
            refused_strategies: ranking.refused().to_owned(),
            view: driver.view(),
            context: context.clone(),
        };
        let strategist = context.strategist(&driver, ranking, leave.clone());
        background.start_feeds(&context, feeds, &driver, tasks.offers(), thread.handle());
        background.start_services(&context, &driver, strategist, catalog);
        let services =
            api_services(&context, &driver, &tasks, status, (relay.clone(), access_control));
        background.spawn(|stop| api::serve(listener, services, stop));
        let relay = relay.start();
        log_start(&context, &background);
        Ok(Self { context, driver, relay, tasks, background, leave })
    }

    /// Goes on until `shutdown` says why it should stop, and returns when it has stopped.
    pub(super) async fn run(
        self,
        notifier: &ServiceNotifier,
        shutdown: impl Future<Output = &'static str>,
    ) {
        let reason = tokio::select! {
            reason = shutdown => reason,
            () = self.leave.cancelled() => "removed from the cluster",
        };
        info!(event = "shutdown", reason, "stopping: {reason}");
        notifier.stopping();
        self.stop().await;
    }

    async fn stop(mut self) {
        self.relay.close();
        // Other hosts take over while this one finishes its queued calls, for which it needs its
        // session.
        self.driver.stand_down();
        self.tasks.drain().await;
        if self.leave.is_cancelled() {
            self.erase_own_entry().await;
        }
        if let Err(error) = self.driver.shut_down().await {
            warn!(%error, "the driver broke down; the session will run out by itself");
        }
        // Requests that wait for the next leader are still forwarded to it.
        self.relay.finish(self.context.config.timings.drain_timeout).await;
        self.tasks.close().await;
        self.background.stop().await;
    }

    /// Erases this host from the list of known hosts, when nothing of a term is alive. Whoever has
    /// removed it can tell by that that it has stopped, and did not merely lose its session.
    async fn erase_own_entry(&self) {
        let topic = NoteTopic::Known(self.context.name.to_string());
        if let Err(error) = self.context.store.erase_note(&topic).await {
            warn!(%error, "this host stays in the list of those that are known");
        }
    }
}

/// Starts the watchdog over the election thread and this runtime.
fn start_watchdog(config: &Config, thread: &ElectionThread) -> Result<Watchdog, HostError> {
    let watchdog = Watchdog::start(config.timings).map_err(HostError::System)?;
    // These run until the process ends: a teardown is to be watched as well.
    drop(tokio::spawn(watchdog.pulse("this host")));
    drop(thread.handle().spawn(watchdog.pulse("its election")));
    Ok(watchdog)
}

/// What the control API works with.
fn api_services(
    context: &HostContext,
    driver: &DriverHandle,
    tasks: &TaskService,
    status: HostStatusSource,
    (relay, access_control): (Relay, Arc<AccessControl>),
) -> ApiServices {
    ApiServices {
        source: Arc::new(status),
        state: Arc::clone(&context.state),
        journal: context.journal.clone(),
        commands: Arc::new(context.commands(driver)),
        jobs: Arc::new(context.job_api()),
        logs: Arc::new(context.log_api()),
        tasks: tasks.api(),
        relay,
        access_control,
        clients: context.engine.budget().clients().clone(),
    }
}

/// Logs the address of the control API, and what people may have to know about it.
fn log_start(context: &HostContext, background: &BackgroundTasks) {
    let (config, listen) = (&context.config, context.listen);
    let url = format!("{}://{listen}", config.host.scheme());
    info!(target: "soloist::api", event = "listening", %listen, "control API on {url}");
    // A person who starts a single plugin wants to try it, and needs to know how.
    if config.all_or_none {
        let (programme, roster) = (Arc::clone(&context.programme.borrow()), context.roster.clone());
        let name = Arc::clone(&context.name);
        background.spawn_until_stop(async move {
            usage_hints::log_usage_hints(&programme, &name, &url, roster).await;
        });
    }
    if config.host.requires_credentials() && !config.host.can_operate_peers() {
        warn!(
            "other hosts that ask for a token refuse this one: give all of them the same \
             `peer_token` in [api]"
        );
    }
}
