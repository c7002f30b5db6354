//! The tasks of a host: what it does itself, and what it has others do.

use std::sync::{Arc, Weak};

use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    action::{ActionFailure, Programme, TaskOffers, TaskPools},
    api::TaskApi,
    cluster::PeerClient,
    task_scope::TaskScope,
    tasks::{
        Dispatcher,
        casts::{CastExecutor, CastService, CastWorker},
    },
};
use soloist_config::Config;
use soloist_guests::capability::TaskCaller;
use soloist_heart::LeaseId;
use soloist_leadership::HostView;
use soloist_stores::{CastStore, Roster, Store, StoreError};

/// Tasks that are taken calls of, from the host's start to its end.
pub(super) struct TaskService {
    pools: Arc<TaskPools>,
    dispatcher: Arc<Dispatcher>,
    cast_executor: Arc<CastExecutor>,
    casts: Arc<dyn CastStore>,
    /// The connections to other hosts.
    connections: TaskScope,
    background: TaskTracker,
    /// Told when this host is to take no more.
    draining: CancellationToken,
    /// Told when nothing of it is under way any more.
    stop: CancellationToken,
    cast_worker: Option<JoinHandle<()>>,
}

impl TaskService {
    pub(super) fn start(
        config: &Config,
        peers: &PeerClient,
        store: &Arc<dyn Store>,
        programme: &watch::Receiver<Arc<Programme>>,
        failures: UnboundedSender<ActionFailure>,
        roster: &watch::Receiver<Option<Roster>>,
    ) -> Result<Self, StoreError> {
        let (host, connections) = (&config.host.name, TaskScope::new());
        let workshop = Arc::new(TaskPools::new(Arc::clone(host), config.host.labels.clone()));
        let casts = store.casts()?;
        let hands = Arc::new(CastExecutor::new(Arc::clone(&workshop), programme.clone()));
        let desk = CastService { casts: Arc::clone(&casts), tasks: hands.known_tasks() };
        let dispatcher = Arc::new(Dispatcher::new(
            Arc::clone(host),
            peers.clone(),
            Arc::clone(&workshop),
            programme.clone(),
            roster.clone(),
            desk,
            &connections,
        ));
        let calls: Weak<dyn TaskCaller> = Arc::downgrade(&dispatcher) as Weak<dyn TaskCaller>;
        workshop.set_calls(calls);
        let (resting, stop) = (CancellationToken::new(), CancellationToken::new());
        let (keeping, drain) = (TaskTracker::new(), config.timings.drain);
        let (keeper, told) = (Arc::clone(&workshop), resting.clone());
        let (programme, roster) = (programme.clone(), roster.clone());
        keeping.spawn(async move {
            keeper.follow_programme(programme, roster, failures, drain, told).await;
        });
        let (keeper, told) = (Arc::clone(&hands), stop.clone());
        keeping.spawn(async move { keeper.run(told).await });
        let worker = None;
        Ok(Self {
            pools: workshop,
            dispatcher,
            cast_executor: hands,
            casts,
            connections,
            background: keeping,
            draining: resting,
            stop,
            cast_worker: worker,
        })
    }

    /// Takes casts as well, under the session that `view` shows.
    pub(super) fn start_casts(
        &mut self,
        config: &Config,
        view: watch::Receiver<HostView>,
        roster: watch::Receiver<Option<Roster>>,
    ) {
        let (session_to, session) = watch::channel(None);
        self.background.spawn(follow_session(view, session_to, self.stop.clone()));
        let worker = CastWorker {
            casts: Arc::clone(&self.casts),
            runner: self.cast_executor.clone(),
            host: Arc::clone(&config.host.name),
            session,
            roster,
            retry: config.timings.retry,
        };
        self.cast_worker =
            Some(tokio::spawn(worker.run(self.draining.clone(), config.timings.drain)));
    }

    /// What this host takes calls of.
    pub(super) fn offers(&self) -> watch::Receiver<TaskOffers> {
        self.pools.offers()
    }

    /// What this host does itself.
    pub(super) fn pools(&self) -> Arc<TaskPools> {
        Arc::clone(&self.pools)
    }

    /// Who has the tasks done that guests call.
    pub(super) fn calls(&self) -> Arc<dyn TaskCaller> {
        self.dispatcher.clone()
    }

    /// Who answers what is asked about tasks.
    pub(super) fn api(&self) -> TaskApi {
        let (dispatcher, workshop) = (Arc::clone(&self.dispatcher), Arc::clone(&self.pools));
        TaskApi { dispatcher, workshop }
    }

    /// Takes no more, and returns when what was begun is finished, or given up. Its casts
    /// need the session until then.
    pub(super) async fn drain(&mut self) {
        self.draining.cancel();
        if let Some(worker) = self.cast_worker.take()
            && let Err(error) = worker.await
        {
            tracing::warn!(%error, "the worker of casts broke down");
        }
        self.stop.cancel();
        self.background.close();
        self.background.wait().await;
    }

    /// Has others do no more, either.
    pub(super) async fn close(self) {
        self.connections.stop().await;
    }
}

/// Tells which session the host may rely on.
async fn follow_session(
    mut view: watch::Receiver<HostView>,
    to: watch::Sender<Option<LeaseId>>,
    stop: CancellationToken,
) {
    loop {
        let lease = {
            let view = view.borrow_and_update();
            // Who is not among the members does nothing of the cluster's.
            view.session.filter(|_| view.joined).map(|(lease, _)| lease)
        };
        to.send_if_modified(|before| std::mem::replace(before, lease) != lease);
        tokio::select! {
            () = stop.cancelled() => return,
            changed = view.changed() => if changed.is_err() {
                return;
            },
        }
    }
}
