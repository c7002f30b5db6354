//! The calls of one task on this host, in one version of its plugin.
//!
//! Guarantees:
//! - Each call has an instance to itself; an instance that has trapped or was given up is not used
//!   again.
//! - The number of calls that run and of those that wait is limited; a call over the limit is
//!   refused at once.
//! - Whatever ends a call early, such as its time limit, its caller or the host, ends its instance.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

use super::error::TaskError;
use crate::{
    action::{
        limits::START_TIMEOUT,
        prepared_action::Action,
        warm_pool::{WarmInstance, WarmPool},
    },
    task_scope::TaskScope,
};
use soloist_config::InstancePolicy;
use soloist_guests::{
    capability::{ActionAccess, GuestState, PoolExhausted, TaskCaller},
    plugin::{Guest, TaskCall, TaskEntryPoint, TaskFailure, TaskInstance, TaskOutput},
};
use soloist_leadership::Gate;
use soloist_stores::{CONTENT_TYPE_MAX, is_content_type};
use soloist_telemetry::measure;
use soloist_text::truncate;
use soloist_trace::{KeyValue, SpanRole, TraceContext, TraceSpan};

/// The longest text that says why a call was not done, in bytes.
const TEXT_MAX: usize = 4 << 10;

/// Runs the calls of a task.
pub(super) struct TaskPool {
    action: Arc<Action>,
    entry: TaskEntryPoint,
    host: Arc<str>,
    gate: Arc<Gate>,
    access: Arc<ActionAccess>,
    /// The calls, and what they have opened.
    scope: TaskScope,
    /// The tasks that clean up the warm instances.
    cleaners: TaskScope,
    permits: Semaphore,
    waiting: AtomicUsize,
    warm: Option<Arc<WarmPool<TaskInstance>>>,
}

impl TaskPool {
    /// A pool of `action` on the host of `gate`, if the action is a task.
    pub(super) fn new(
        action: &Arc<Action>,
        gate: Gate,
        calls: Option<Arc<dyn TaskCaller>>,
    ) -> Option<Self> {
        let entry = action.plugin().entry_points().task.clone()?;
        let (scope, keepers, gate) = (TaskScope::new(), TaskScope::new(), Arc::new(gate));
        let reserve = match action.config().instances {
            InstancePolicy::Fresh => None,
            InstancePolicy::Reuse(reuse) => Some(WarmPool::start(&keepers, reuse)),
        };
        Some(Self {
            action: Arc::clone(action),
            entry,
            host: Arc::clone(&gate.term().host),
            access: action.access_outside_term(&gate, calls, scope.clone()).into(),
            gate,
            scope,
            cleaners: keepers,
            permits: Semaphore::new(action.config().limits.max_concurrent_requests),
            waiting: AtomicUsize::new(0),
            warm: reserve,
        })
    }

    /// The action, in this version.
    pub(super) fn action(&self) -> &Arc<Action> {
        &self.action
    }

    /// Does one call, within this time at most.
    pub(super) async fn perform(
        &self,
        call: &TaskCall,
        within: Duration,
    ) -> Result<TaskOutput, TaskError> {
        // Ending the pool waits until this is dropped.
        let _held = self.scope.hold();
        tokio::select! {
            biased;
            () = self.scope.cancelled() => Err(TaskError::Leaving),
            done = timeout(within, self.attempt(call)) => {
                done.unwrap_or_else(|_| Err(TaskError::Late(within)))
            }
        }
    }

    async fn attempt(&self, call: &TaskCall) -> Result<TaskOutput, TaskError> {
        let mut span = self.span(call);
        let _place = self.acquire().await?;
        let trace = span.context().cloned();
        // Boxed, because the futures around it would otherwise contain its full size, some of them
        // twice.
        let done = self.action.run(Box::pin(self.handle(call, trace))).await;
        let done = self.outcome_of(done);
        if let Err(error) = &done {
            span.fail(error.as_str(), error.to_string());
        }
        done
    }

    fn span(&self, call: &TaskCall) -> TraceSpan {
        TraceSpan::begin(SpanRole::Server, call.trace.clone(), || {
            let about = vec![
                KeyValue::new("soloist.task", Arc::clone(&call.name)),
                KeyValue::new("soloist.call", Arc::clone(&call.id)),
                KeyValue::new("soloist.attempt", i64::from(call.attempt)),
            ];
            (format!("task {}", call.name).into(), about)
        })
    }

    fn outcome_of(
        &self,
        done: wasmtime::Result<Result<TaskOutput, TaskFailure>>,
    ) -> Result<TaskOutput, TaskError> {
        match done {
            Ok(Ok(answer)) => self.check_answer(answer),
            Ok(Err(TaskFailure::Refused(text))) => Err(TaskError::Refused(truncated_text(&text))),
            Ok(Err(TaskFailure::Failed(text))) => Err(TaskError::Failed(truncated_text(&text))),
            // On another host the files may answer.
            Err(error) if error.is::<PoolExhausted>() => Err(TaskError::Busy),
            Err(error) => {
                measure::trapped(self.action.name());
                Err(TaskError::Failed(format!("it trapped: {}", error.root_cause())))
            }
        }
    }

    /// Checks whether the answer may be passed on.
    fn check_answer(&self, answer: TaskOutput) -> Result<TaskOutput, TaskError> {
        if let Some(form) = answer.content_type.as_deref().filter(|form| !is_content_type(form)) {
            return Err(TaskError::Failed(format!(
                "the content type of its answer, of {} bytes, is invalid: the maximum is \
                 {CONTENT_TYPE_MAX} bytes of printable ASCII",
                form.len()
            )));
        }
        let (length, most) =
            (answer.payload.len() as u64, self.action.config().limits.max_body_size);
        if length <= most {
            return Ok(answer);
        }
        Err(TaskError::Failed(format!(
            "its answer has {length} bytes, more than the maximum of {most} (`max_body_size` in \
             its settings)"
        )))
    }

    /// Waits for a permit, unless too many calls are waiting.
    async fn acquire(&self) -> Result<SemaphorePermit<'_>, TaskError> {
        if let Ok(place) = self.permits.try_acquire() {
            return Ok(place);
        }
        let _waits =
            WaitingGuard::enter(&self.waiting, self.action.config().limits.max_queued_requests)?;
        // The semaphore is never closed.
        self.permits.acquire().await.map_err(|_| TaskError::Leaving)
    }

    async fn handle(
        &self,
        call: &TaskCall,
        trace: Option<TraceContext>,
    ) -> wasmtime::Result<Result<TaskOutput, TaskFailure>> {
        let mut warm = match self.warm.as_ref().and_then(|reserve| reserve.take()) {
            Some(warm) => warm,
            None => Box::new(self.instantiate().await?),
        };
        let store = warm.guest.store();
        store.data_mut().set_trace(trace);
        let done = warm.exports.handle(store, call, &self.host).await?;
        warm.served += 1;
        if let Some(reserve) = &self.warm {
            reserve.put(warm);
        }
        Ok(done)
    }

    async fn instantiate(&self) -> wasmtime::Result<WarmInstance<TaskInstance>> {
        let slot = self.action.slot().await;
        let state = GuestState::new(&self.access).await?;
        let mut guest = Guest::new(self.entry.engine(), slot, state);
        let exports = self.entry.instantiate(guest.store()).await?;
        Ok(WarmInstance { guest, exports, served: 0 })
    }

    /// Instantiates once as a test.
    pub(super) async fn try_instantiate(&self) -> Result<(), String> {
        let made = timeout(START_TIMEOUT, self.action.run(self.instantiate())).await;
        match made {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("it does not start: {}", error.root_cause())),
            Err(_) => Err("it does not start in time".to_owned()),
        }
    }

    /// How many calls are running here or waiting for that.
    pub(super) fn load(&self) -> usize {
        let limits = &self.action.config().limits;
        limits.max_concurrent_requests - self.permits.available_permits()
            + self.waiting.load(Ordering::Relaxed)
    }

    /// Lets the calls that have started finish, for at most `patience`. When this resolves none is
    /// left, nor anything that they opened.
    pub(super) async fn finish(&self, patience: Duration) {
        // Calls that are not finished by then are cut off.
        let _ = timeout(patience, self.scope.join()).await;
        self.gate.close();
        let _hurry = self.action.engine().tick_fast();
        self.scope.stop().await;
        if let Some(reserve) = &self.warm {
            reserve.close();
        }
        self.cleaners.stop().await;
        if !self.action.kinds().need_term() {
            self.action.live_status().end_run();
        }
    }
}

impl Drop for TaskPool {
    fn drop(&mut self) {
        self.scope.cancel();
        self.cleaners.cancel();
    }
}

fn truncated_text(text: &str) -> String {
    truncate(text, TEXT_MAX).to_owned()
}

/// Counts a call as waiting until it is dropped.
struct WaitingGuard<'a>(&'a AtomicUsize);

impl<'a> WaitingGuard<'a> {
    fn enter(waiting: &'a AtomicUsize, most: usize) -> Result<Self, TaskError> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let waits = Self(waiting);
        if before < most { Ok(waits) } else { Err(TaskError::Busy) }
    }
}

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
