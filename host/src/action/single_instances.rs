//! Instances of WASI 0.2, which answer one request at a time.
//!
//! Each request has a future that holds its instance. Its first step is taken inline; it becomes a
//! task only if it is not finished then. Whatever ends the future early, such as the end of the
//! term or of the client's connection, ends the instance as well. An instance that has answered in
//! full may be kept for the next request; the memory of any other is in an unknown state.

use std::sync::Arc;

use ::http::Request;
use tokio::time::timeout;
use wasmtime::component::Resource;
use wasmtime_wasi_http::{
    WasiHttpView,
    p2::{
        bindings::{Proxy, ProxyPre, http::types::Scheme},
        types::HostResponseOutparam,
    },
};

use super::{
    access_log::RequestLine,
    action_refusal::ActionRefusal,
    broken_flag::BrokenFlag,
    guest_errors::{log_refusal, refusal_of_error},
    guest_handle::{GuestHandle, GuestTask},
    guest_request::{GuestRequest, ResponseSender},
    limited_body::LimitedBody,
    version_context::VersionContext,
    warm_pool::{WarmInstance, WarmPool},
};
use crate::{http::is_over_tls, task_scope::FirstStep};
use soloist_config::InstancePolicy;
use soloist_guests::{
    capability::GuestState,
    plugin::{Guest, InstanceSlot},
};

/// The instances of one action under one term.
pub(super) struct SingleInstances {
    version: Arc<VersionContext>,
    entry: ProxyPre<GuestState>,
    warm: Option<Arc<WarmPool<Proxy>>>,
}

/// An instance, or the right to create one, reserved for a request.
pub(super) struct SingleReservation {
    instances: Arc<SingleInstances>,
    source: WarmOrSlot,
}

/// The right to create an instance, or a warm one.
enum WarmOrSlot {
    Slot(InstanceSlot),
    Warm(Box<WarmInstance<Proxy>>),
}

impl SingleInstances {
    /// A set without instances.
    pub(super) fn new(version: Arc<VersionContext>, entry: ProxyPre<GuestState>) -> Self {
        let warm = match version.action.config().instances {
            InstancePolicy::Fresh => None,
            // The pool's task is not among those that a drain waits for.
            InstancePolicy::Reuse(reuse) => Some(WarmPool::start(&version.tasks, reuse)),
        };
        Self { version, entry, warm }
    }

    /// Reserves an instance, or waits for the right to create one.
    pub(super) async fn reserve(self: &Arc<Self>) -> SingleReservation {
        let source = match self.warm.as_ref().and_then(|warm| warm.take()) {
            Some(instance) => WarmOrSlot::Warm(instance),
            None => WarmOrSlot::Slot(self.version.action.slot().await),
        };
        SingleReservation { instances: self.clone(), source }
    }

    /// Answers one request. `broken` is set before the store is dropped, whichever way this ends;
    /// the request's permit is released after that.
    async fn serve(
        self: Arc<Self>,
        source: WarmOrSlot,
        request: GuestRequest,
        broken: BrokenFlag,
    ) -> Result<(), ActionRefusal> {
        // The permit is dropped last, after the instance.
        let GuestRequest { request, sender, permit: _permit } = request;
        let (action, request_line) = (&self.version.action, RequestLine::of(&request));
        // Boxed, because the futures around it would otherwise contain its full size, some of them
        // twice.
        let answered = Box::pin(self.answer(source, request, sender, broken));
        let answered = action.run(answered);
        match timeout(action.config().limits.request_timeout, answered).await {
            Ok(Ok(instance)) => {
                if let Some(warm) = &self.warm {
                    warm.put(instance);
                }
                Ok(())
            }
            Ok(Err(error)) => Err(refusal_of_error(&self.version, &request_line, &error)),
            Err(_) => Err(log_refusal(&self.version, &request_line, ActionRefusal::Timeout)),
        }
    }

    /// Hands the request to the guest, and lets the guest run to its end.
    async fn answer(
        &self,
        source: WarmOrSlot,
        mut request: Request<LimitedBody>,
        sender: ResponseSender,
        broken: BrokenFlag,
    ) -> wasmtime::Result<Box<WarmInstance<Proxy>>> {
        let mut instance = match source {
            WarmOrSlot::Slot(slot) => Box::new(self.instantiate(slot).await?),
            WarmOrSlot::Warm(instance) => instance,
        };
        let broken = broken.guard();
        let store = instance.guest.store();
        store.data_mut().set_trace(request.extensions_mut().remove());
        let mut http = store.data_mut().http();
        let scheme = if is_over_tls(&request) { Scheme::Https } else { Scheme::Http };
        let request = http.new_incoming_request(scheme, request)?;
        let out = http.new_response_outparam_from_callback(move |answer| {
            // The client may be gone.
            let _ = sender.send(answer.map_err(|code| code.to_string()));
        })?;
        let unset = Resource::<HostResponseOutparam>::new_borrow(out.rep());
        instance
            .exports
            .wasi_http_incoming_handler()
            .call_handle(&mut *store, request, out)
            .await?;
        if store.data_mut().http().table.get(&unset).is_ok() {
            wasmtime::bail!("it returned without an answer");
        }
        broken.mark_finished();
        instance.served += 1;
        Ok(instance)
    }

    /// Instantiates once as a test.
    pub(super) async fn try_instantiate(&self) -> wasmtime::Result<()> {
        let slot = self.version.action.slot().await;
        self.version.action.run(self.instantiate(slot)).await.map(drop)
    }

    /// Ends the warm instances, and keeps no more.
    pub(super) fn close(&self) {
        if let Some(warm) = &self.warm {
            warm.close();
        }
    }

    async fn instantiate(&self, slot: InstanceSlot) -> wasmtime::Result<WarmInstance<Proxy>> {
        let state = GuestState::new(&self.version.access).await?;
        let mut guest = Guest::new(self.entry.engine(), slot, state);
        let exports = self.entry.instantiate_async(guest.store()).await?;
        Ok(WarmInstance { guest, exports, served: 0 })
    }
}

impl SingleReservation {
    /// Hands the request over. Most guests finish it in one step, and then no task is needed.
    pub(super) async fn start(self, request: GuestRequest) -> (GuestHandle, BrokenFlag) {
        let broken = BrokenFlag::default();
        let instances = self.instances.clone();
        let serve = self.instances.serve(self.source, request, broken.clone());
        let guest = match instances.version.requests.start_inline(serve).await {
            FirstStep::Finished(ended) => GuestHandle::Finished(ended),
            FirstStep::Running(task) => GuestHandle::Task(GuestTask::new(task)),
        };
        (guest, broken)
    }
}
