//! `wasi:http`: the types of requests and responses, and outgoing requests.
//!
//! A guest may send requests only to the targets in its settings (`outbound`). Invariants:
//! - Nothing is sent and nothing arrives once the gate is shut. It is passed before a request
//!   begins, at every write to its socket, and for the head and every frame of the response.
//! - A connection goes to an address that was checked, even if DNS changes its answer later. It
//!   belongs to one action in one term, and ends with the term.
//! - The fencing token that a request carries is the fencing token of the term. A guest cannot set
//!   it.
//! - If a guest ends while it sends a request, that request does not look complete.
//! - What is in flight is charged to the action's account: a body from when the guest may write to
//!   it until it is sent ([`ChargedBody`]), and the buffers of a connection from
//!   the beginning of a request until its response was taken ([`EXCHANGE`](exchange::EXCHANGE)).

mod alive_flag;
mod body;
mod exchange;
mod gate;
mod hooks;

use std::sync::Arc;

use http_body_util::BodyExt;
use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource, ResourceTable},
};
use wasmtime_wasi_http::{
    WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpView,
    p2::{
        bindings::http::types,
        body::HostOutgoingBody,
        types::{HostOutgoingRequest, HostOutgoingResponse},
    },
};

use self::{
    alive_flag::AliveFlag,
    body::{BODY, ChargedBody},
    hooks::OutgoingHooks,
};
use super::{ActionAccess, limits::HEADERS, replace::replace};
use soloist_resources::budget::Charge;
use soloist_trace::TraceContext;

/// The types of WASI 0.2, in wasmtime's version.
const TYPES: &str = "wasi:http/types@0.2.12";
/// The context of the capability.
pub(crate) struct HttpCtx {
    wasi: WasiHttpCtx,
    hooks: OutgoingHooks,
}

impl HttpCtx {
    /// The context of an instance with this access.
    pub(crate) fn new(access: Arc<ActionAccess>) -> Self {
        let hooks = OutgoingHooks { access, trace: None, alive: AliveFlag::default() };
        let mut wasi = WasiHttpCtx::new();
        wasi.set_field_size_limit(HEADERS);
        Self { wasi, hooks }
    }

    /// Charges a body of the guest; `None` if the account has no room.
    fn charge_body(&self) -> Option<Charge> {
        self.hooks.access.account.charge(BODY).ok()
    }

    /// Sets the trace context for requests from now on.
    pub(crate) fn set_trace(&mut self, trace: Option<TraceContext>) {
        self.hooks.trace = trace;
    }

    /// The context during one call, with the resource table of the instance.
    pub(crate) fn view<'a>(&'a mut self, table: &'a mut ResourceTable) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView { ctx: &mut self.wasi, table, hooks: &mut self.hooks }
    }

    /// Marks the instance as ended, for all bodies that it was sending. Must be called before its
    /// resources are dropped.
    pub(crate) fn mark_ended(&self) {
        self.hooks.alive.clear();
    }
}

/// A store's data that has a context of this capability.
pub(crate) trait HttpState: WasiHttpView + Send + 'static {
    /// The context of this capability.
    fn http_ctx(&self) -> &HttpCtx;
}

/// Adds the interfaces of WASI 0.2 to `linker`. A guest of 0.2 may write to any number of bodies
/// before they are read, so each is charged. Guests of 0.3 pass their data on only as it is read.
pub(crate) fn add_to_linker<T: HttpState>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    replace(
        linker,
        TYPES,
        "[method]outgoing-request.body",
        |mut store: StoreContextMut<'_, T>, (request,): (Resource<HostOutgoingRequest>,)| {
            Ok((request_body(store.data_mut(), request)?,))
        },
    )?;
    replace(
        linker,
        TYPES,
        "[method]outgoing-response.body",
        |mut store: StoreContextMut<'_, T>, (response,): (Resource<HostOutgoingResponse>,)| {
            Ok((response_body(store.data_mut(), response)?,))
        },
    )
}

/// A body to write to, or nothing if the account has no room.
type BodyResult = Result<Resource<HostOutgoingBody>, ()>;

fn request_body<T: HttpState>(
    state: &mut T,
    request: Resource<HostOutgoingRequest>,
) -> wasmtime::Result<BodyResult> {
    let Some(charge) = state.http_ctx().charge_body() else { return Ok(Err(())) };
    let (mut view, number) = (state.http(), request.rep());
    let body = types::HostOutgoingRequest::body(&mut view, request)?;
    if body.is_ok() {
        let request = Resource::<HostOutgoingRequest>::new_borrow(number);
        charge_to(&mut view.table.get_mut(&request)?.body, charge);
    }
    Ok(body)
}

fn response_body<T: HttpState>(
    state: &mut T,
    response: Resource<HostOutgoingResponse>,
) -> wasmtime::Result<BodyResult> {
    let Some(charge) = state.http_ctx().charge_body() else { return Ok(Err(())) };
    let (mut view, number) = (state.http(), response.rep());
    let body = types::HostOutgoingResponse::body(&mut view, response)?;
    if body.is_ok() {
        let response = Resource::<HostOutgoingResponse>::new_borrow(number);
        charge_to(&mut view.table.get_mut(&response)?.body, charge);
    }
    Ok(body)
}

fn charge_to(body: &mut Option<WasiBody>, charge: Charge) {
    *body = body.take().map(|body| ChargedBody::new(body, charge).boxed_unsync());
}

/// Adds the interfaces of WASI 0.3. Both versions send through the same hooks.
pub(crate) fn add_0_3_to_linker<T: WasiHttpView + 'static>(
    linker: &mut Linker<T>,
) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p3::add_to_linker(linker)
}
