//! Instances of WASI 0.2, which answer one request at a time.
//!
//! Each request has a future, which holds its instance: its first step is taken on the
//! spot, and it becomes a task if that was not all. So whatever ends it early, be it the
//! end of the term or a client that has gone, ends the instance. One that has answered in full may be kept for the next request; the memory of
//! one that has not is in an unknown state.

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
    asked::Asked,
    fate::{Fate, GuestTask, Tie},
    refusal::{Refusal, judge, note},
    request::{Head, Turn, is_secure},
    reserve::{Reserve, Warm},
    running::Run,
    tasks::Begun,
    upload::Upload,
};
use soloist_config::Instances;
use soloist_guests::{
    capability::GuestState,
    plugin::{Guest, Slot},
};

/// The instances of one action under one term.
pub(super) struct Single {
    run: Arc<Run>,
    entry: ProxyPre<GuestState>,
    kept: Option<Arc<Reserve<Proxy>>>,
}

/// What a request is answered by.
pub(super) struct Place {
    single: Arc<Single>,
    found: Found,
}

/// The right to make an instance, or one that is there.
enum Found {
    Slot(Slot),
    Kept(Box<Warm<Proxy>>),
}

impl Single {
    /// No instances yet.
    pub(super) fn new(run: Arc<Run>, entry: ProxyPre<GuestState>) -> Self {
        let kept = match run.action.config.instances {
            Instances::Fresh => None,
            // Not one of those that a drain waits for.
            Instances::Reuse(reuse) => Some(Reserve::start(&run.scope.tasks, reuse)),
        };
        Self { run, entry, kept }
    }

    /// Finds an instance, or waits for a slot of the engine.
    pub(super) async fn place(self: &Arc<Self>) -> Place {
        let found = match self.kept.as_ref().and_then(|kept| kept.take()) {
            Some(warm) => Found::Kept(warm),
            None => Found::Slot(self.run.action.slot().await),
        };
        Place { single: self.clone(), found }
    }

    /// The task of one request. `fate` is told before the store is dropped,
    /// whichever way it ends; `_turn` is given back after that.
    async fn serve(
        self: Arc<Self>,
        found: Found,
        request: Request<Upload>,
        head: Head,
        fate: Fate,
        _turn: Turn,
    ) -> Result<(), Refusal> {
        let (action, asked) = (&self.run.action, Asked::of(&request));
        // Boxed, or each future around it would carry it along, some of them twice.
        let answered = Box::pin(self.answer(found, request, head, fate));
        let answered = action.run(answered);
        match timeout(action.config().limits.request_timeout, answered).await {
            Ok(Ok(warm)) => {
                if let Some(kept) = &self.kept {
                    kept.put(warm);
                }
                Ok(())
            }
            Ok(Err(error)) => Err(judge(&self.run, &asked, &error)),
            Err(_) => Err(note(&self.run, &asked, Refusal::Late)),
        }
    }

    /// Hands the request over, and lets the guest run to its end.
    async fn answer(
        &self,
        found: Found,
        mut request: Request<Upload>,
        head: Head,
        fate: Fate,
    ) -> wasmtime::Result<Box<Warm<Proxy>>> {
        let mut warm = match found {
            Found::Slot(slot) => Box::new(self.make(slot).await?),
            Found::Kept(warm) => warm,
        };
        let broken = fate.broken_unless_told();
        let store = warm.guest.store();
        store.data_mut().follow(request.extensions_mut().remove());
        let mut http = store.data_mut().http();
        let scheme = if is_secure(&request) { Scheme::Https } else { Scheme::Http };
        let request = http.new_incoming_request(scheme, request)?;
        let out = http.new_response_outparam_from_callback(move |answer| {
            // The client may have gone.
            let _ = head.send(answer.map_err(|code| code.to_string()));
        })?;
        let unset = Resource::<HostResponseOutparam>::new_borrow(out.rep());
        warm.exports.wasi_http_incoming_handler().call_handle(&mut *store, request, out).await?;
        if store.data_mut().http().table.get(&unset).is_ok() {
            wasmtime::bail!("it returned without an answer");
        }
        broken.tell_finished();
        warm.served += 1;
        Ok(warm)
    }

    /// Instantiates once, for nothing.
    pub(super) async fn rehearse(&self) -> wasmtime::Result<()> {
        let slot = self.run.action.slot().await;
        self.run.action.run(self.make(slot)).await.map(drop)
    }

    /// Ends those that are kept, and keeps no more.
    pub(super) fn close(&self) {
        if let Some(kept) = &self.kept {
            kept.close();
        }
    }

    async fn make(&self, slot: Slot) -> wasmtime::Result<Warm<Proxy>> {
        let state = GuestState::new(&self.run.access).await?;
        let mut guest = Guest::new(self.entry.engine(), slot, state);
        let exports = self.entry.instantiate_async(guest.store()).await?;
        Ok(Warm { guest, exports, served: 0 })
    }
}

impl Place {
    /// Hands a request over. Most guests are done with it in one step, and then there is
    /// no need of a task.
    pub(super) async fn begin(
        self,
        turn: Turn,
        request: Request<Upload>,
        head: Head,
    ) -> (Tie, Fate) {
        let fate = Fate::default();
        let single = self.single.clone();
        let serve = self.single.serve(self.found, request, head, fate.clone(), turn);
        let tie = match single.run.work.begin(serve).await {
            Begun::Over(ended) => Tie::Over(ended),
            Begun::GoesOn(task) => Tie::Task(GuestTask::new(task)),
        };
        (tie, fate)
    }
}
