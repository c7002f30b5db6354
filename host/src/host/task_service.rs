//! The tasks of a host: calls and casts that it does itself, and those that it has others do.

use std::sync::{Arc, Weak};

use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::context::HostContext;
use crate::{
    action::{ActionFailure, TaskOffers, TaskPools},
    api::TaskApi,
    task_scope::TaskScope,
    tasks::{
        Dispatcher, DispatcherParts,
        casts::{CastExecutor, CastService, CastWorker},
    },
};
use soloist_guests::capability::TaskCaller;
use soloist_heart::LeaseId;
use soloist_leadership::HostView;
use soloist_stores::{CastStore, StoreError};

/// Does the tasks of a host, outside of terms, from its start to its end.
pub(super) struct TaskService {
    pools: Arc<TaskPools>,
    dispatcher: Arc<Dispatcher>,
    cast_executor: Arc<CastExecutor>,
    casts: Arc<dyn CastStore>,
    /// Owns the connections to other hosts.
    connections: TaskScope,
    background: TaskTracker,
    /// Cancelled when this host is to start no more tasks.
    draining: CancellationToken,
    /// Cancelled when no task is under way any more.
    stop: CancellationToken,
    cast_worker: Option<JoinHandle<()>>,
}

impl TaskService {
    /// Starts to take calls. Casts are done from [`TaskService::start_casts`] on.
    pub(super) fn start(
        context: &HostContext,
        trial_failures: UnboundedSender<ActionFailure>,
    ) -> Result<Self, StoreError> {
        let HostContext { config, programme, roster, .. } = context;
        let (host, connections) = (Arc::clone(&context.name), TaskScope::new());
        let pools = Arc::new(TaskPools::new(Arc::clone(&host), config.host.labels.clone()));
        let casts = context.store.casts()?;
        let cast_executor = Arc::new(CastExecutor::new(Arc::clone(&pools), programme.clone()));
        let parts = DispatcherParts {
            host,
            peers: context.peers.clone(),
            pools: Arc::clone(&pools),
            programme: programme.clone(),
            roster: roster.clone(),
            casts: CastService { casts: Arc::clone(&casts), tasks: cast_executor.known_tasks() },
        };
        let dispatcher = Arc::new(Dispatcher::new(parts, &connections));
        let calls: Weak<dyn TaskCaller> = Arc::downgrade(&dispatcher) as Weak<dyn TaskCaller>;
        pools.set_calls(calls);
        let service = Self {
            pools,
            dispatcher,
            cast_executor,
            casts,
            connections,
            background: TaskTracker::new(),
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
            cast_worker: None,
        };
        service.follow_programme(context, trial_failures);
        Ok(service)
    }

    /// Keeps the pools and the settings of casts in step with the programme.
    fn follow_programme(
        &self,
        context: &HostContext,
        trial_failures: UnboundedSender<ActionFailure>,
    ) {
        let (pools, draining) = (Arc::clone(&self.pools), self.draining.clone());
        let (programme, roster) = (context.programme.clone(), context.roster.clone());
        let drain = context.config.timings.drain;
        self.background.spawn(async move {
            pools.follow_programme(programme, roster, trial_failures, drain, draining).await;
        });
        let (executor, stop) = (Arc::clone(&self.cast_executor), self.stop.clone());
        self.background.spawn(async move { executor.run(stop).await });
    }

    /// Starts to do casts as well, under the session that `view` shows.
    pub(super) fn start_casts(&mut self, context: &HostContext, view: watch::Receiver<HostView>) {
        let (session_to, session) = watch::channel(None);
        self.background.spawn(follow_session(view, session_to, self.stop.clone()));
        let timings = context.config.timings;
        let worker = CastWorker {
            casts: Arc::clone(&self.casts),
            runner: self.cast_executor.clone(),
            host: Arc::clone(&context.name),
            session,
            roster: context.roster.clone(),
            retry: timings.retry,
        };
        self.cast_worker = Some(tokio::spawn(worker.run(self.draining.clone(), timings.drain)));
    }

    /// The tasks that this host takes calls of.
    pub(super) fn offers(&self) -> watch::Receiver<TaskOffers> {
        self.pools.offers()
    }

    /// The pools in which this host does tasks itself.
    pub(super) fn pools(&self) -> Arc<TaskPools> {
        Arc::clone(&self.pools)
    }

    /// What makes the calls of guests.
    pub(super) fn calls(&self) -> Arc<dyn TaskCaller> {
        self.dispatcher.clone()
    }

    /// The tasks' part of the control API.
    pub(super) fn api(&self) -> TaskApi {
        let (dispatcher, pools) = (Arc::clone(&self.dispatcher), Arc::clone(&self.pools));
        TaskApi { dispatcher, pools }
    }

    /// Starts no more tasks, and returns when those under way are finished or given up. Casts need
    /// the host's session until then.
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

    /// Ends the calls to other hosts as well.
    pub(super) async fn close(self) {
        self.connections.stop().await;
    }
}

/// Passes on the session that the host may rely on, as far as it has joined the members with it: a
/// host that is no member must not take casts.
async fn follow_session(
    mut view: watch::Receiver<HostView>,
    to: watch::Sender<Option<LeaseId>>,
    stop: CancellationToken,
) {
    loop {
        let lease = {
            let view = view.borrow_and_update();
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
