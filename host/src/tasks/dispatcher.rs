//! The dispatcher: which tasks there are, and how calls and queued calls of them are made.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    call_loop::CallLoop,
    call_queue::{CallQueueErrorKind, CallQueueService},
    call_router::CallRouter,
    client::TaskClient,
    load_balancer::LoadBalancer,
};
use crate::{
    action::{Action, Programme, TaskPools},
    cluster::PeerClient,
    task_scope::TaskScope,
};
use soloist_guests::capability::{
    CallError, QueuedCallFailure, TaskCaller, TaskReply, TaskRequest,
};
use soloist_stores::{CONTENT_TYPE_MAX, Roster, ThisHost, is_content_type};
use soloist_telemetry::measure;

/// Sends calls of tasks to the hosts that do them, and puts queued calls into the queue.
pub struct Dispatcher {
    router: CallRouter,
    programme: watch::Receiver<Arc<Programme>>,
    call_queue: CallQueueService,
}

/// What a [`Dispatcher`] works with.
pub struct DispatcherParts {
    /// This host.
    pub host: ThisHost,
    /// The client of other hosts.
    pub peers: PeerClient,
    /// What does the calls that stay on this host.
    pub pools: Arc<TaskPools>,
    /// The tasks that there are, with their settings.
    pub programme: watch::Receiver<Arc<Programme>>,
    /// The members, and the tasks that each takes calls of.
    pub roster: watch::Receiver<Option<Roster>>,
    /// The queue of calls.
    pub call_queue: CallQueueService,
}

impl Dispatcher {
    /// A dispatcher whose connections to other hosts belong to `tasks`.
    #[must_use]
    pub fn new(parts: DispatcherParts, scope: &TaskScope) -> Self {
        let DispatcherParts { host, peers, pools, programme, roster, call_queue } = parts;
        let client = TaskClient::new(host.name(), peers, scope);
        let balancer = LoadBalancer::default();
        let router = CallRouter { host, pools, roster, balancer, client };
        Self { router, programme, call_queue }
    }

    /// The tasks that this host knows, by name.
    #[must_use]
    pub fn tasks(&self) -> Vec<Arc<Action>> {
        self.programme.borrow().tasks().cloned().collect()
    }

    /// The queue of calls.
    #[must_use]
    pub fn call_queue(&self) -> &CallQueueService {
        &self.call_queue
    }

    /// The hosts that take calls of `action` now, by name.
    #[must_use]
    pub fn hosts(&self, action: &Action) -> BTreeSet<Arc<str>> {
        self.router.hosts(action)
    }

    /// The task with this name.
    ///
    /// # Errors
    /// There is no such task, or its plugin or settings are refused.
    pub fn task(&self, name: &str) -> Result<Arc<Action>, CallError> {
        let programme = self.programme.borrow();
        programme.tasks().find(|action| &**action.name() == name).cloned().ok_or_else(|| {
            let name = name.to_owned();
            if let Some(reason) = programme.refusal(&name) {
                return CallError::Unusable { reason: reason.to_owned(), name };
            }
            let known = programme.tasks().map(|action| action.name().to_string()).collect();
            CallError::Unknown { name, known }
        })
    }
}

#[async_trait]
impl TaskCaller for Dispatcher {
    async fn call(&self, request: TaskRequest) -> Result<TaskReply, CallError> {
        let action = self.task(&request.name)?;
        if request.content_type.as_deref().is_some_and(|form| !is_content_type(form)) {
            let text = format!(
                "the content type is invalid: it has at most {CONTENT_TYPE_MAX} bytes of printable \
                 ASCII"
            );
            return Err(CallError::Refused { host: Arc::clone(self.router.host.name()), text });
        }
        let longest = action.config().task.call_timeout;
        let within = request.within.map_or(longest, |within| within.min(longest));
        let deadline = Instant::now() + within;
        let reply = CallLoop::new(&self.router, &action, request, deadline).run();
        let reply = match timeout_at(deadline, reply).await {
            // Whether this host's clock or the other one's noticed first: the time is over.
            Err(_) | Ok(Err(CallError::Late { .. })) => Err(CallError::Late { within }),
            Ok(reply) => reply,
        };
        let outcome = reply.as_ref().map_or_else(CallError::as_str, |_| "done");
        measure::task_called(action.name(), outcome);
        reply
    }

    async fn enqueue(
        &self,
        task: &str,
        payload: Bytes,
        content_type: Option<String>,
    ) -> Result<Arc<str>, QueuedCallFailure> {
        let queued_call = self.call_queue.enqueue(task, payload, content_type).await;
        queued_call.map(|key| key.id).map_err(|fault| match fault.kind {
            CallQueueErrorKind::NotFound => QueuedCallFailure::Unknown(fault.error),
            CallQueueErrorKind::Invalid | CallQueueErrorKind::TooLong => {
                QueuedCallFailure::Refused(fault.error)
            }
            CallQueueErrorKind::QueueFull => QueuedCallFailure::Full,
            CallQueueErrorKind::Refused => QueuedCallFailure::Shut(fault.error),
            CallQueueErrorKind::Unavailable => QueuedCallFailure::Uncertain(fault.error),
        })
    }
}
