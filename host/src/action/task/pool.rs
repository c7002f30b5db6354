//! The calls of one task on this host, in one version of its plugin.
//!
//! Invariants:
//! - Each call has an instance to itself; one that has trapped or was given up is not used
//!   again.
//! - So many calls at a time, so many more that wait; whoever comes then is told so at once.
//! - Whatever ends a call early, be it its time, its caller or the host, ends its instance.

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
use crate::action::{
    Action, Tasks,
    limits::REHEARSAL,
    reserve::{Reserve, Warm},
};
use soloist_config::Instances;
use soloist_guests::{
    capability::{Access, Calls, GuestState, Hangs},
    plugin::{Answer, Call, Guest, TaskEntry, TaskInstance, Undone},
};
use soloist_leadership::Gate;
use soloist_stores::{CONTENT_TYPE_MAX, is_content_type};
use soloist_telemetry::measure;
use soloist_text::cut;
use soloist_trace::{KeyValue, Role, Span, TraceContext};

/// The longest text that says why a call was not done, in bytes.
const TEXT_MAX: usize = 4 << 10;

/// What does the calls of a task.
pub(super) struct Pool {
    action: Arc<Action>,
    entry: TaskEntry,
    host: Arc<str>,
    gate: Arc<Gate>,
    access: Arc<Access>,
    /// Calls, and what they have opened.
    tasks: Tasks,
    /// What looks after the instances that are kept.
    keepers: Tasks,
    places: Semaphore,
    waiting: AtomicUsize,
    reserve: Option<Arc<Reserve<TaskInstance>>>,
}

impl Pool {
    /// A pool of `action` on the host of `gate`, if it is a task.
    pub(super) fn new(
        action: &Arc<Action>,
        gate: Gate,
        calls: Option<Arc<dyn Calls>>,
    ) -> Option<Self> {
        let entry = action.plugin().entries().task.clone()?;
        let (tasks, keepers, gate) = (Tasks::new(), Tasks::new(), Arc::new(gate));
        let reserve = match action.config().instances {
            Instances::Fresh => None,
            Instances::Reuse(reuse) => Some(Reserve::start(&keepers, reuse)),
        };
        Some(Self {
            action: Arc::clone(action),
            entry,
            host: Arc::clone(&gate.term().host),
            access: action.access_outside(&gate, calls, tasks.clone()).into(),
            gate,
            tasks,
            keepers,
            places: Semaphore::new(action.config().limits.requests),
            waiting: AtomicUsize::new(0),
            reserve,
        })
    }

    /// The action, in this version.
    pub(super) fn action(&self) -> &Arc<Action> {
        &self.action
    }

    /// Does one call, within this time at most.
    pub(super) async fn perform(&self, call: &Call, within: Duration) -> Result<Answer, TaskError> {
        // Who ends the pool waits until this is given back.
        let _held = self.tasks.occupy();
        tokio::select! {
            biased;
            () = self.tasks.cancelled() => Err(TaskError::Leaving),
            done = timeout(within, self.attempt(call)) => {
                done.unwrap_or_else(|_| Err(TaskError::Late(within)))
            }
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Answer, TaskError> {
        let mut span = self.span(call);
        let _place = self.place().await?;
        let trace = span.context().cloned();
        // Boxed, or each future around it would carry it along, some of them twice.
        let done = self.action.run(Box::pin(self.handle(call, trace))).await;
        let done = self.judge(done);
        if let Err(error) = &done {
            span.fail(error.to_string());
        }
        done
    }

    fn span(&self, call: &Call) -> Span {
        Span::begin(Role::Server, call.trace.clone(), || {
            let about = vec![
                KeyValue::new("soloist.task", Arc::clone(&call.name)),
                KeyValue::new("soloist.call", Arc::clone(&call.id)),
                KeyValue::new("soloist.attempt", i64::from(call.attempt)),
            ];
            (format!("task {}", call.name).into(), about)
        })
    }

    fn judge(&self, done: wasmtime::Result<Result<Answer, Undone>>) -> Result<Answer, TaskError> {
        match done {
            Ok(Ok(answer)) => self.fitting(answer),
            Ok(Err(Undone::Refused(text))) => Err(TaskError::Refused(passed_on(&text))),
            Ok(Err(Undone::Failed(text))) => Err(TaskError::Failed(passed_on(&text))),
            // Another host may have files that answer.
            Err(error) if error.is::<Hangs>() => Err(TaskError::Busy),
            Err(error) => {
                measure::trapped(self.action.name());
                Err(TaskError::Failed(format!("it trapped: {}", error.root_cause())))
            }
        }
    }

    /// An answer that may be passed on.
    fn fitting(&self, answer: Answer) -> Result<Answer, TaskError> {
        if let Some(form) = answer.content_type.as_deref().filter(|form| !is_content_type(form)) {
            return Err(TaskError::Failed(format!(
                "the content type of its answer, of {} bytes, is none: {CONTENT_TYPE_MAX} bytes of \
                 plain ASCII are let through",
                form.len()
            )));
        }
        let (length, most) = (answer.payload.len() as u64, self.action.config().limits.body);
        if length <= most {
            return Ok(answer);
        }
        Err(TaskError::Failed(format!(
            "its answer has {length} bytes: {most} are let through (`body` in its settings)"
        )))
    }

    /// Waits for its turn, unless too many do.
    async fn place(&self) -> Result<SemaphorePermit<'_>, TaskError> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let _waits = Waits::enter(&self.waiting, self.action.config().limits.queue)?;
        // It is never closed.
        self.places.acquire().await.map_err(|_| TaskError::Leaving)
    }

    async fn handle(
        &self,
        call: &Call,
        trace: Option<TraceContext>,
    ) -> wasmtime::Result<Result<Answer, Undone>> {
        let mut warm = match self.reserve.as_ref().and_then(|reserve| reserve.take()) {
            Some(warm) => warm,
            None => Box::new(self.make().await?),
        };
        let store = warm.guest.store();
        store.data_mut().follow(trace);
        let done = warm.exports.handle(store, call, &self.host).await?;
        warm.served += 1;
        if let Some(reserve) = &self.reserve {
            reserve.put(warm);
        }
        Ok(done)
    }

    async fn make(&self) -> wasmtime::Result<Warm<TaskInstance>> {
        let slot = self.action.slot().await;
        let state = GuestState::new(&self.access).await?;
        let mut guest = Guest::new(self.entry.engine(), slot, state);
        let exports = self.entry.instantiate(guest.store()).await?;
        Ok(Warm { guest, exports, served: 0 })
    }

    /// Instantiates once, for nothing.
    pub(super) async fn rehearse(&self) -> Result<(), String> {
        let made = timeout(REHEARSAL, self.action.run(self.make())).await;
        match made {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("it does not come up: {}", error.root_cause())),
            Err(_) => Err("it does not come up in time".to_owned()),
        }
    }

    /// How many calls are done here or wait for that.
    pub(super) fn load(&self) -> usize {
        let limits = &self.action.config().limits;
        limits.requests - self.places.available_permits() + self.waiting.load(Ordering::Relaxed)
    }

    /// Lets the calls finish that have begun, for so long at most. None is left when this
    /// resolves, nor anything that they opened.
    pub(super) async fn finish(&self, patience: Duration) {
        // What is not finished by then is cut off.
        let _ = timeout(patience, self.tasks.join()).await;
        self.gate.close();
        let _hurry = self.action.engine().hurry();
        self.tasks.stop().await;
        if let Some(reserve) = &self.reserve {
            reserve.close();
        }
        self.keepers.stop().await;
        if !self.action.kinds().perform() {
            self.action.board().end_run();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.tasks.cancel();
        self.keepers.cancel();
    }
}

fn passed_on(text: &str) -> String {
    cut(text, TEXT_MAX).to_owned()
}

/// A place in the queue.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn enter(waiting: &'a AtomicUsize, most: usize) -> Result<Self, TaskError> {
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let waits = Self(waiting);
        if before < most { Ok(waits) } else { Err(TaskError::Busy) }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
