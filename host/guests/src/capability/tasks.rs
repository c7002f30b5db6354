//! `soloist:plugin/tasks`: lets a guest call the tasks of its cluster.
//!
//! Invariants:
//! - A guest calls only the tasks that its settings name (`tasks`).
//! - The gate is passed before a call begins, and before its result is handed out.
//! - A running call ends with the instance that began it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio_util::sync::DropGuard;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::{
    ATTEMPTS_MAX, ActionAccess, CallError, QueuedCallFailure, TaskCaller, TaskReply, TaskRequest,
};
use bindings::soloist::plugin::tasks::{
    CallRequest as WitRequest, Error as WitError, Host, HostPendingCall, Outcome as WitOutcome,
};
use soloist_trace::TraceContext;

#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "package soloist:host; world tasks { import soloist:plugin/tasks@0.1.0; }",
        imports: {
            "soloist:plugin/tasks.call": async | trappable,
            "soloist:plugin/tasks.enqueue": async | trappable,
            default: trappable,
        },
        with: {
            "wasi:clocks/monotonic-clock": wasmtime_wasi::p2::bindings::clocks::monotonic_clock,
            "wasi:io/poll": wasmtime_wasi::p2::bindings::io::poll,
            "soloist:plugin/tasks.pending-call": super::PendingCall,
        },
        require_store_data_send: true,
    });
}

/// The context of the capability.
pub(crate) struct TasksCtx {
    access: Arc<ActionAccess>,
    trace: Option<TraceContext>,
}

impl TasksCtx {
    /// The context of an instance with this access.
    pub(crate) fn new(access: Arc<ActionAccess>) -> Self {
        Self { access, trace: None }
    }

    /// Sets the trace context for calls from now on.
    pub(crate) fn set_trace(&mut self, trace: Option<TraceContext>) {
        self.trace = trace;
    }

    /// A future that makes the call. The payload is charged at once, since a guest can begin calls
    /// faster than they are answered.
    fn call(&self, request: WitRequest) -> impl Future<Output = PendingOutcome> + Send + use<> {
        let (access, request) = (Arc::clone(&self.access), self.to_request(request));
        async move { access.call_task(request?).await }
    }

    fn to_request(&self, request: WitRequest) -> Result<TaskRequest, WitError> {
        let account = self.access.account.clone();
        let payload = account.hold(request.payload.into()).map_err(|_| WitError::Overloaded)?;
        Ok(TaskRequest {
            name: request.task,
            payload,
            content_type: request.content_type,
            within: request.timeout.map(Duration::from_nanos),
            attempts: request.max_attempts.clamp(1, ATTEMPTS_MAX),
            trace: self.trace.clone(),
            account,
        })
    }
}

/// A [`TasksCtx`] during one call, with the resource table of the instance.
pub(crate) struct TasksView<'a> {
    pub ctx: &'a TasksCtx,
    pub table: &'a mut ResourceTable,
}

type PendingOutcome = Result<TaskReply, WitError>;

/// A running call. Public because the generated code re-exports it.
#[allow(unreachable_pub, reason = "generated code re-exports it")]
pub struct PendingCall {
    outcome: PendingState,
    _end: DropGuard,
}

enum PendingState {
    Waiting(oneshot::Receiver<PendingOutcome>),
    Ready(PendingOutcome),
    Taken,
}

#[async_trait]
impl Pollable for PendingCall {
    async fn ready(&mut self) {
        if let PendingState::Waiting(outcome) = &mut self.outcome {
            self.outcome =
                PendingState::Ready(outcome.await.unwrap_or_else(|_| Err(instance_lost())));
        }
    }
}

/// The task of a call ends early only together with the instance.
fn instance_lost() -> WitError {
    WitError::UnknownOutcome("this host ends it".to_owned())
}

impl ActionAccess {
    /// Makes a call for a guest.
    async fn call_task(self: Arc<Self>, request: TaskRequest) -> PendingOutcome {
        let calls = self.may_call(&request.name)?;
        let done = calls.call(request).await.map_err(WitError::from);
        self.open()?;
        done
    }

    /// Checks that the guest may call `task`, and returns the caller.
    fn may_call(&self, task: &str) -> Result<Arc<dyn TaskCaller>, WitError> {
        if !self.grants.tasks.iter().any(|granted| granted == task || granted == "*") {
            let place = &self.grants.written_in;
            return Err(WitError::AccessDenied(format!(
                "`tasks = [\"{task}\"]` in {place} lets it call {task}"
            )));
        }
        self.open()?;
        self.task_caller().ok_or_else(|| {
            WitError::Unavailable("the hook on-standby may not call tasks".to_owned())
        })
    }

    fn open(&self) -> Result<(), WitError> {
        let shut = |_| WitError::Unavailable("the term of this plugin has ended".to_owned());
        self.gate().pass().map_err(shut)
    }
}

impl TasksView<'_> {
    fn start(&mut self, request: WitRequest) -> wasmtime::Result<Resource<PendingCall>> {
        let (outcome, end) = self.ctx.access.spawner.spawn_cancellable(self.ctx.call(request));
        let pending = PendingCall { outcome: PendingState::Waiting(outcome), _end: end };
        Ok(self.table.push(pending)?)
    }
}

impl Host for TasksView<'_> {
    fn start(&mut self, request: WitRequest) -> wasmtime::Result<Resource<PendingCall>> {
        TasksView::start(self, request)
    }

    async fn call(
        &mut self,
        request: WitRequest,
    ) -> wasmtime::Result<Result<WitOutcome, WitError>> {
        let outcome = self.ctx.access.spawner.run_in_task(self.ctx.call(request)).await;
        Ok(outcome.unwrap_or_else(|| Err(instance_lost())).map(WitOutcome::from))
    }

    async fn enqueue(
        &mut self,
        task: String,
        payload: Vec<u8>,
        content_type: Option<String>,
    ) -> wasmtime::Result<Result<String, WitError>> {
        let access = Arc::clone(&self.ctx.access);
        let queued_call = async move {
            let calls = access.may_call(&task)?;
            let payload = access.account.hold(payload.into()).map_err(|_| WitError::Overloaded)?;
            let queued_call = calls.enqueue(&task, payload, content_type).await;
            access.open()?;
            Ok(queued_call.map_err(WitError::from)?.to_string())
        };
        Ok(self
            .ctx
            .access
            .spawner
            .run_in_task(queued_call)
            .await
            .unwrap_or_else(|| Err(instance_lost())))
    }
}

impl HostPendingCall for TasksView<'_> {
    fn subscribe(
        &mut self,
        pending: Resource<PendingCall>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, pending)
    }

    fn get(
        &mut self,
        pending: Resource<PendingCall>,
    ) -> wasmtime::Result<Option<Result<WitOutcome, WitError>>> {
        let pending = self.table.get_mut(&pending)?;
        if let PendingState::Waiting(outcome) = &mut pending.outcome {
            match outcome.try_recv() {
                Ok(outcome) => pending.outcome = PendingState::Ready(outcome),
                Err(_) => return Ok(None),
            }
        }
        Ok(match std::mem::replace(&mut pending.outcome, PendingState::Taken) {
            PendingState::Ready(outcome) => Some(outcome.map(WitOutcome::from)),
            PendingState::Waiting(_) | PendingState::Taken => None,
        })
    }

    fn drop(&mut self, pending: Resource<PendingCall>) -> wasmtime::Result<()> {
        self.table.delete(pending)?;
        Ok(())
    }
}

impl From<TaskReply> for WitOutcome {
    fn from(done: TaskReply) -> Self {
        Self {
            id: done.id.to_string(),
            host: done.host.to_string(),
            attempt: done.attempt,
            payload: done.payload.into(),
            content_type: done.content_type,
        }
    }
}

impl From<QueuedCallFailure> for WitError {
    fn from(fault: QueuedCallFailure) -> Self {
        match fault {
            QueuedCallFailure::Unknown(text) => Self::AccessDenied(text),
            QueuedCallFailure::Refused(text) => Self::Invalid(text),
            QueuedCallFailure::Full => Self::Overloaded,
            QueuedCallFailure::Shut(text) => Self::Unavailable(text),
            QueuedCallFailure::Uncertain(text) => Self::UnknownOutcome(text),
        }
    }
}

impl From<CallError> for WitError {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        match error {
            CallError::Unknown { .. } | CallError::Unusable { .. } => Self::AccessDenied(message),
            CallError::Refused { text, .. } => Self::Invalid(text),
            CallError::Failed { text, .. } => Self::Failed(text),
            CallError::Late { .. } => Self::Timeout,
            CallError::Busy { .. } | CallError::OverBudget(_) => Self::Overloaded,
            CallError::Nobody { .. } => Self::Unavailable(message),
            CallError::Lost { .. } => Self::UnknownOutcome(message),
        }
    }
}

struct HasTasks;

impl HasData for HasTasks {
    type Data<'a> = TasksView<'a>;
}

/// Adds the interface to `linker`.
pub(crate) fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> TasksView<'_>,
) -> wasmtime::Result<()> {
    bindings::soloist::plugin::tasks::add_to_linker::<T, HasTasks>(linker, view)
}
