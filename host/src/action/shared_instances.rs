//! Instances of WASI 0.3, which answer several requests at once.
//!
//! Each instance has a task, which drives all of its requests and ends together with the action's
//! other tasks; each request has a [`RequestTicket`]. A guest cannot be told that one of its
//! clients is gone: an instance whose client is gone takes no more requests, and is cut off as soon
//! as no other client waits for it.
//!
//! wasmtime-wasi-http has a pool as well (`ProxyHandler`, version 48, `src/handler.rs`). It tells
//! an idle instance from one with work left by the same call (`poll_no_interesting_tasks`), but
//! cannot replace this one: it polls each store in a task that it spawns and never joins, while
//! instances here must end with their term, and run in the CPU turns and on the blocking threads of
//! their action; it does not notice that a client has gone (a TODO in `Prepared::run`); and a
//! request is done there once the head of its response is, here once the body has left.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    thread::available_parallelism,
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use parking_lot::{Mutex, MutexGuard};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::p3::bindings::ServicePre;

use super::{
    access_log::RequestLine,
    broken_flag::BrokenFlag,
    guest_errors::{InstanceTimeout, refusal_of_error},
    guest_request::GuestRequest,
    instance_state::{InstanceState, RequestTicket},
    limits::REQUESTS_AT_ONCE,
    pending_responses::PendingResponses,
    queued_request::{QueuedRequest, answer_request},
    version_context::VersionContext,
};
use soloist_config::{InstancePolicy, ReuseLimits};
use soloist_guests::{
    capability::GuestState,
    plugin::{Guest, InstanceSlot},
};
use soloist_trace::TraceContext;

/// How often an instance is checked, unless it may be idle for a shorter time only.
const CHECK: Duration = Duration::from_secs(10);
const CHECK_MIN: Duration = Duration::from_millis(100);
/// For instances that are not used again.
const ONCE: ReuseLimits = ReuseLimits { max: 1, idle: CHECK };

/// The instances of one action under one term.
pub(super) struct SharedInstances {
    version: Arc<VersionContext>,
    entry: ServicePre<GuestState>,
    reuse: ReuseLimits,
    /// Up to this number of instances, one per processor, the next one is created when all others
    /// have a request. From then on they share the requests.
    parallel_instances: usize,
    /// The instances that may take requests.
    accepting: Mutex<Vec<SharedInstance>>,
    /// Cancelled when no more requests come.
    closing: CancellationToken,
}

#[derive(Clone)]
struct SharedInstance {
    state: Arc<InstanceState>,
    queue: mpsc::UnboundedSender<QueuedRequest>,
}

/// An instance, or the right to create one, reserved for a request.
pub(super) struct SharedReservation {
    instances: Arc<SharedInstances>,
    source: MemberOrSlot,
}

/// An instance with a ticket for the request, or the right to create one.
enum MemberOrSlot {
    Instance(SharedInstance, RequestTicket),
    Slot(InstanceSlot),
}

impl SharedInstances {
    /// A set without instances.
    pub(super) fn new(version: Arc<VersionContext>, entry: ServicePre<GuestState>) -> Self {
        let reuse = match version.action.config().instances {
            InstancePolicy::Fresh => ONCE,
            InstancePolicy::Reuse(reuse) => reuse,
        };
        let parallel_instances = available_parallelism().map_or(1, usize::from);
        let closing = CancellationToken::new();
        Self { version, entry, reuse, parallel_instances, accepting: Mutex::default(), closing }
    }

    /// Reserves an instance, or waits for the right to create one.
    pub(super) async fn reserve(self: &Arc<Self>) -> SharedReservation {
        let source = match self.least_busy() {
            Some(source) => source,
            None => MemberOrSlot::Slot(self.version.action.slot().await),
        };
        SharedReservation { instances: self.clone(), source }
    }

    fn least_busy(&self) -> Option<MemberOrSlot> {
        let mut open = self.accepting();
        open.retain(|instance| instance.state.active_requests().is_some());
        let busy =
            |instance: &SharedInstance| instance.state.active_requests().unwrap_or(usize::MAX);
        let least = open.iter().min_by_key(|instance| busy(instance))?;
        let most = if open.len() < self.parallel_instances { 1 } else { REQUESTS_AT_ONCE };
        if busy(least) >= most {
            return None;
        }
        let ticket = least.state.admit()?;
        Some(MemberOrSlot::Instance(least.clone(), ticket))
    }

    /// Starts the task of one more instance.
    fn start_instance(self: &Arc<Self>, slot: InstanceSlot) -> (SharedInstance, RequestTicket) {
        let (state, ticket) = InstanceState::new(self.reuse.max);
        let (calls, queue) = mpsc::unbounded_channel();
        self.version.requests.spawn(self.clone().run_instance(state.clone(), slot, queue));
        let instance = SharedInstance { state, queue: calls };
        if instance.state.active_requests().is_some() {
            self.accepting().push(instance.clone());
        }
        (instance, ticket)
    }

    /// Instantiates once as a test.
    pub(super) async fn try_instantiate(&self) -> wasmtime::Result<()> {
        let mut guest = self.guest(self.version.action.slot().await).await?;
        let instantiated = self.entry.instantiate_async(guest.store());
        self.version.action.run(instantiated).await.map(drop)
    }

    /// Ends instances without requests at once, and the others after their last request.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    async fn guest(&self, slot: InstanceSlot) -> wasmtime::Result<Guest> {
        let state = GuestState::new(&self.version.access).await?;
        Ok(Guest::new(self.entry.engine(), slot, state))
    }

    /// Do not hold this lock across an await.
    fn accepting(&self) -> MutexGuard<'_, Vec<SharedInstance>> {
        self.accepting.lock()
    }

    /// The task of one instance.
    async fn run_instance(
        self: Arc<Self>,
        state: Arc<InstanceState>,
        slot: InstanceSlot,
        queue: mpsc::UnboundedReceiver<QueuedRequest>,
    ) {
        let _ended = state.ended.clone().drop_guard();
        // Boxed, because the futures around it would otherwise contain its full size, some of them
        // twice.
        let responses = PendingResponses::default();
        let driven = Box::pin(self.answer_requests(&state, slot, queue, &responses));
        let ended = tokio::select! {
            biased;
            () = state.abort.cancelled() => return,
            ended = responses.flush_while_paced(self.version.action.run(driven)) => ended,
            error = self.supervise_instance(&state) => Err(error),
        };
        state.close();
        if let Err(error) = ended {
            // It is set here only.
            let _ = state.failure.set(refusal_of_error(
                &self.version,
                &state.describe_requests(),
                &error,
            ));
        }
    }

    /// Creates the instance, and lets it answer requests until it is finished.
    async fn answer_requests(
        &self,
        state: &InstanceState,
        slot: InstanceSlot,
        mut queue: mpsc::UnboundedReceiver<QueuedRequest>,
        responses: &PendingResponses,
    ) -> wasmtime::Result<()> {
        let mut guest = self.guest(slot).await?;
        // Declared after the guest, so that it is dropped before the store.
        let broken = state.broken.guard();
        let service = &self.entry.instantiate_async(guest.store()).await?;
        let handle = *service.wasi_http_handler().func_handle().func();
        let answer_all = async |accessor: &Accessor<GuestState>| {
            let mut begun = FuturesUnordered::new();
            let mut finished = pin!(state.finished.cancelled());
            poll_fn(|cx| {
                loop {
                    if let Poll::Ready(Some(answered)) = begun.poll_next_unpin(cx) {
                        answered?;
                    } else if accessor.poll_ready_for_concurrent_call(handle, cx).is_ready()
                        && let Poll::Ready(Some(call)) = queue.poll_recv(cx)
                    {
                        state.set_guest_idle(false);
                        begun.push(answer_request(accessor, service, responses, call));
                    } else {
                        let idle = accessor.poll_no_interesting_tasks(cx).is_ready();
                        state.set_guest_idle(idle);
                        if finished.as_mut().poll(cx).is_ready() && idle {
                            return Poll::Ready(wasmtime::error::Ok(()));
                        }
                        return Poll::Pending;
                    }
                }
            })
            .await
        };
        let answered = async { guest.store().run_concurrent(answer_all).await? };
        responses.run(answered).await?;
        broken.mark_finished();
        Ok(())
    }

    /// Ends the instance when a limit is exceeded. This is checked from outside, because a guest
    /// that computes lets nothing else of its instance run.
    async fn supervise_instance(&self, state: &InstanceState) -> wasmtime::Error {
        let limit = self.version.action.config().limits.request_timeout;
        let pause = self.reuse.idle.min(limit).clamp(CHECK_MIN, CHECK);
        let look = async {
            loop {
                sleep(pause).await;
                if state.check_limits(self.reuse.idle, limit) {
                    return InstanceTimeout.into();
                }
            }
        };
        let closing = async {
            self.closing.cancelled().await;
            state.close();
            pending().await
        };
        tokio::select! {
            error = look => error,
            error = closing => error,
        }
    }
}

impl SharedReservation {
    /// Hands the request over.
    pub(super) fn start(self, request: GuestRequest) -> (RequestTicket, BrokenFlag) {
        let GuestRequest { mut request, sender, permit } = request;
        // With several requests in one instance, nobody can tell for which of them the guest does
        // something.
        if self.instances.reuse.max > 1 {
            request.extensions_mut().remove::<TraceContext>();
        }
        let (instance, ticket) = match self.source {
            MemberOrSlot::Instance(instance, ticket) => (instance, ticket),
            MemberOrSlot::Slot(slot) => self.instances.start_instance(slot),
        };
        ticket.set_request_line(RequestLine::of(&request));
        // An instance that has just ended drops the sender, and the receiver learns of it.
        let _ = instance.queue.send((request, sender));
        (ticket.with_permit(permit), instance.state.broken.clone())
    }
}
