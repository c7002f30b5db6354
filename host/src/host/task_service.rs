//! The tasks of a host: calls and queued calls that it does itself, and those that it has others
//! do.

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
        call_queue::{CallQueueService, CallQueueWorker, QueuedCallExecutor},
    },
};
use soloist_guests::capability::TaskCaller;
use soloist_heart::LeaseId;
use soloist_leadership::HostView;
use soloist_stores::{CallQueueStore, StoreError};

/// Does the tasks of a host, outside of terms, from its start to its end.
pub(super) struct TaskService {
    pools: Arc<TaskPools>,
    dispatcher: Arc<Dispatcher>,
    queued_call_executor: Arc<QueuedCallExecutor>,
    call_queue: Arc<dyn CallQueueStore>,
    /// Owns the connections to other hosts.
    connections: TaskScope,
    background: TaskTracker,
    /// Cancelled when this host is to start no more tasks.
    draining: CancellationToken,
    /// Cancelled when no task is under way any more.
    stop: CancellationToken,
    call_queue_worker: Option<JoinHandle<()>>,
}

impl TaskService {
    /// Starts to take calls. Queued calls are done from [`TaskService::start_call_queue_worker`]
    /// on.
    pub(super) fn start(
        context: &HostContext,
        trial_failures: UnboundedSender<ActionFailure>,
    ) -> Result<Self, StoreError> {
        let HostContext { config, programme, roster, .. } = context;
        let (host, connections) = (Arc::clone(&context.name), TaskScope::new());
        let pools = Arc::new(TaskPools::new(host, config.host.labels.clone()));
        let call_queue = context.store.call_queue()?;
        let queued_call_executor =
            Arc::new(QueuedCallExecutor::new(Arc::clone(&pools), programme.clone()));
        let parts = DispatcherParts {
            host: context.this.clone(),
            peers: context.peers.clone(),
            pools: Arc::clone(&pools),
            programme: programme.clone(),
            roster: roster.clone(),
            call_queue: CallQueueService {
                call_queue: Arc::clone(&call_queue),
                tasks: queued_call_executor.known_tasks(),
            },
        };
        let dispatcher = Arc::new(Dispatcher::new(parts, &connections));
        let calls: Weak<dyn TaskCaller> = Arc::downgrade(&dispatcher) as Weak<dyn TaskCaller>;
        pools.set_calls(calls);
        let service = Self {
            pools,
            dispatcher,
            queued_call_executor,
            call_queue,
            connections,
            background: TaskTracker::new(),
            draining: CancellationToken::new(),
            stop: CancellationToken::new(),
            call_queue_worker: None,
        };
        service.follow_programme(context, trial_failures);
        Ok(service)
    }

    /// Keeps the pools and the settings of queued calls in step with the programme.
    fn follow_programme(
        &self,
        context: &HostContext,
        trial_failures: UnboundedSender<ActionFailure>,
    ) {
        let (pools, draining) = (Arc::clone(&self.pools), self.draining.clone());
        let (programme, roster) = (context.programme.clone(), context.roster.clone());
        let drain = context.config.timings.drain_timeout;
        self.background.spawn(async move {
            pools.follow_programme(programme, roster, trial_failures, drain, draining).await;
        });
        let (executor, stop) = (Arc::clone(&self.queued_call_executor), self.stop.clone());
        self.background.spawn(async move { executor.run(stop).await });
    }

    /// Starts to do queued calls as well, under the session that `view` shows.
    pub(super) fn start_call_queue_worker(
        &mut self,
        context: &HostContext,
        view: watch::Receiver<HostView>,
    ) {
        let (session_to, session) = watch::channel(None);
        self.background.spawn(follow_session(view, session_to, self.stop.clone()));
        let timings = context.config.timings;
        let worker = CallQueueWorker {
            call_queue: Arc::clone(&self.call_queue),
            runner: self.queued_call_executor.clone(),
            host: Arc::clone(&context.name),
            session,
            roster: context.roster.clone(),
            retry: timings.retry,
        };
        self.call_queue_worker =
            Some(tokio::spawn(worker.run(self.draining.clone(), timings.drain_timeout)));
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

    /// Starts no more tasks, and returns when those under way are finished or given up. Queued
    /// calls need the host's session until then.
    pub(super) async fn drain(&mut self) {
        self.draining.cancel();
        if let Some(worker) = self.call_queue_worker.take()
            && let Err(error) = worker.await
        {
            tracing::warn!(%error, "the worker of queued calls broke down");
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
/// host that is no member must not take queued calls.
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
