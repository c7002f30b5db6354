//! `wasi:http`: the types of requests and responses, and outgoing requests.
//!
//! A guest may send requests only to the targets in its settings (`outbound`). Invariants:
//! - Nothing is sent and nothing arrives once the gate is shut. It is passed before a request
//!   begins, at every write to its socket, and for the head and every frame of the response.
//! - A connection goes to an address that was checked, even if DNS changes its answer later. It
//!   belongs to one action in one term, and ends with the term.
//! - The token that a request carries is the token of the term. A guest cannot set it.
//! - If a guest ends while it sends a request, that request does not look complete.
//! - What is in flight is charged to the action's account: a body from when the guest may write to
//!   it until it is sent ([`ChargedBody`](body::ChargedBody)), and the buffers of a connection from
//!   the beginning of a request until its response was taken ([`EXCHANGE`](exchange::EXCHANGE)).

mod body;
mod client;
mod connect;
mod exchange;
mod gated_connection;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ::http::{Method, Request, Response, Uri, uri::Scheme};
use http_body_util::BodyExt;
use tracing::warn;
use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource, ResourceTable},
};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
    p2::{
        bindings::http::types,
        body::HostOutgoingBody,
        types::{HostOutgoingRequest, HostOutgoingResponse},
    },
};

use self::body::{ChargedBody, OutgoingBody};
use super::{ActionAccess, GuestState, TermHeaders, replace::replace};
use crate::capability::limits::HEADERS;
use client::CLIENT_BUFFER;
pub(crate) use client::{HttpClient, new_client};
use soloist_config::{Grants, OutboundGrant, default_port};
use soloist_resources::budget::Charge;
use soloist_trace::{KeyValue, SpanRole, TraceContext, TraceSpan};

/// The types of WASI 0.2, in wasmtime's version.
const TYPES: &str = "wasi:http/types@0.2.12";
/// The most bytes that a guest writes to a body at once. Twice as much may wait for the connection
/// (wasmtime: `HostOutgoingBody::new`).
const CHUNK: usize = 64 << 10;
const BODY: u64 = 2 * CHUNK as u64;
/// The most bytes that a request has in flight in its connection: 64 KiB in each direction
/// (`outbound/client.rs`), the same again encrypted, and one frame of the response that nobody has
/// taken.
const EXCHANGE: u64 = 4 * CLIENT_BUFFER as u64 + BODY;

type Transmission = Box<dyn Future<Output = Result<(), Error>> + Send>;
type ExchangeResult = Result<(Response<WasiBody>, Transmission), Error>;

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
        self.hooks.alive.0.store(false, Ordering::Release);
    }
}

/// Whether an instance still exists. When an instance ends, the bodies that it was writing end as
/// if they were complete, so they check this flag.
#[derive(Clone, Debug)]
struct AliveFlag(Arc<AtomicBool>);

impl Default for AliveFlag {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl AliveFlag {
    fn is_alive(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Decides about outgoing requests of a guest.
struct OutgoingHooks {
    access: Arc<ActionAccess>,
    trace: Option<TraceContext>,
    alive: AliveFlag,
}

impl WasiHttpHooks for OutgoingHooks {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn send_request(
        &mut self,
        mut request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _sent: Transmission,
    ) -> Box<dyn Future<Output = ExchangeResult> + Send> {
        if let Err(error) = self.admit(&request) {
            return Box::new(std::future::ready(Err(error)));
        }
        self.set_term_headers(&mut request);
        let mut span = self.begin_span(&mut request);
        let alive = self.alive.clone();
        let request = request.map(|body| OutgoingBody::new(body, alive).boxed_unsync());
        let response = exchange::start(&self.access, request, options.unwrap_or_default());
        Box::new(async move {
            let response = response.await.inspect_err(|error| span.fail(error.to_string()))?;
            span.answered(response.status());
            Ok((response, Box::new(std::future::ready(Ok(()))) as Transmission))
        })
    }
}

impl OutgoingHooks {
    fn admit(&self, request: &Request<WasiBody>) -> Result<(), Error> {
        exchange::pass_gate(self.access.gate())?;
        let target = RequestTarget::of(request.uri()).ok_or(Error::HttpRequestUriInvalid)?;
        let listed = target.entries(&self.access.grants).next().is_some();
        // `CONNECT` would open a tunnel to hosts that no entry names.
        if listed && request.method() != Method::CONNECT {
            return Ok(());
        }
        let name = &self.access.action;
        // Once for each target, then with a count.
        self.access.requests_denied.said(&target.to_string(), |told| {
            let what = format!(
                "request denied: `outbound = [\"{target}\"]` in [action.{name}] lets the plugin send there{told}"
            );
            let (token, method) = (self.access.gate().term().token.0, request.method());
            warn!(action = %name, token, %method, to = %target, "{what}");
            self.access.log.add_host_line(&what);
        });
        Err(Error::HttpRequestDenied)
    }

    /// Sets the headers that name the term, and removes those that the guest has set.
    fn set_term_headers(&self, request: &mut Request<WasiBody>) {
        let headers = request.headers_mut();
        TermHeaders::strip(headers);
        if self.access.grants.outbound_token && self.access.term.is_some() {
            TermHeaders::of(self.access.gate().term()).put(headers);
        }
    }

    /// Puts the request into its trace, unless the guest has done so itself.
    fn begin_span(&self, request: &mut Request<WasiBody>) -> TraceSpan {
        if TraceContext::is_present(request.headers()) {
            return TraceSpan::disabled();
        }
        let span = TraceSpan::begin(SpanRole::Client, self.trace.clone(), || {
            let (uri, method) = (request.uri(), request.method().to_string());
            // The path is left out: paths of some APIs contain tokens.
            let about = vec![
                KeyValue::new("http.request.method", method.clone()),
                KeyValue::new("server.address", uri.host().unwrap_or_default().to_owned()),
                KeyValue::new("soloist.action", Arc::clone(&self.access.action)),
            ];
            (method.into(), about)
        });
        if let Some(context) = span.context() {
            context.write(request.headers_mut());
        }
        span
    }
}

/// The scheme, host and port that a request goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RequestTarget {
    https: bool,
    host: String,
    port: u16,
}

impl RequestTarget {
    fn of(uri: &Uri) -> Option<Self> {
        let https = *uri.scheme()? == Scheme::HTTPS;
        let authority = uri.authority()?;
        let port = match authority.port_u16() {
            Some(port) => port,
            None if authority.as_str() == authority.host() => default_port(https),
            // A port that is not a number.
            None => return None,
        };
        let plain = !authority.as_str().contains('@');
        plain.then(|| Self { https, host: authority.host().to_ascii_lowercase(), port })
    }

    /// The entries of the settings that match this target.
    fn entries<'a>(&'a self, grants: &'a Grants) -> impl Iterator<Item = &'a OutboundGrant> {
        let entries = grants.outbound.iter();
        entries.filter(|entry| entry.names(self.https, &self.host, self.port))
    }
}

impl std::fmt::Display for RequestTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == default_port(self.https) { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Adds the interfaces of WASI 0.2 to `linker`. A guest of 0.2 may write to any number of bodies
/// before they are read, so each is charged. Guests of 0.3 pass their data on only as it is read.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    replace(
        linker,
        TYPES,
        "[method]outgoing-request.body",
        |mut store: StoreContextMut<'_, GuestState>,
         (request,): (Resource<HostOutgoingRequest>,)| {
            Ok((store.data_mut().request_body(request)?,))
        },
    )?;
    replace(
        linker,
        TYPES,
        "[method]outgoing-response.body",
        |mut store: StoreContextMut<'_, GuestState>,
         (response,): (Resource<HostOutgoingResponse>,)| {
            Ok((store.data_mut().response_body(response)?,))
        },
    )
}

/// A body to write to, or nothing if the account has no room.
type BodyResult = Result<Resource<HostOutgoingBody>, ()>;

impl GuestState {
    fn request_body(
        &mut self,
        request: Resource<HostOutgoingRequest>,
    ) -> wasmtime::Result<BodyResult> {
        let Some(charge) = self.http_ctx().charge_body() else { return Ok(Err(())) };
        let (mut view, number) = (self.http(), request.rep());
        let body = types::HostOutgoingRequest::body(&mut view, request)?;
        if body.is_ok() {
            let request = Resource::<HostOutgoingRequest>::new_borrow(number);
            charge_to(&mut view.table.get_mut(&request)?.body, charge);
        }
        Ok(body)
    }

    fn response_body(
        &mut self,
        response: Resource<HostOutgoingResponse>,
    ) -> wasmtime::Result<BodyResult> {
        let Some(charge) = self.http_ctx().charge_body() else { return Ok(Err(())) };
        let (mut view, number) = (self.http(), response.rep());
        let body = types::HostOutgoingResponse::body(&mut view, response)?;
        if body.is_ok() {
            let response = Resource::<HostOutgoingResponse>::new_borrow(number);
            charge_to(&mut view.table.get_mut(&response)?.body, charge);
        }
        Ok(body)
    }
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

#[cfg(test)]
mod tests {
    use http_body_util::Empty;

    use super::*;
    use crate::capability::{Spawner, test_gate};
    use soloist_config::Limits;
    use soloist_heart::clock::BootTime;

    #[tokio::test]
    async fn a_request_that_there_is_no_room_for_is_not_sent() {
        let (gate, limits) = (test_gate(BootTime::NEVER), Limits::default());
        let spawner = Spawner::new(|task| drop(tokio::spawn(task)));
        let access =
            ActionAccess::without_term("web".into(), Arc::default(), &limits, gate, None, spawner);
        let access = Arc::new(access);
        let send = || {
            // Nobody listens at this port.
            let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
            let request = Request::get("http://127.0.0.1:1/").body(body).unwrap();
            exchange::start(&access, request, RequestOptions::default())
        };
        let other = access.account.charge((256 << 20) - EXCHANGE + 1).unwrap();
        match send().await {
            Err(Error::InternalError(Some(told))) => assert!(told.contains("256 MiB"), "{told}"),
            other => panic!("{:?}", other.err()),
        }
        drop(other);
        assert!(!matches!(send().await, Ok(_) | Err(Error::InternalError(_))));
        assert!(access.account.charge(256 << 20).is_ok(), "it is given back");
    }

    #[test]
    fn targets_are_read_as_they_are_connected_to() {
        let target = |uri: &str| RequestTarget::of(&uri.parse().unwrap()).map(|t| t.to_string());
        for (uri, read) in [
            ("http://A.example/x?y", Some("http://a.example")),
            ("https://a.example:443/", Some("https://a.example")),
            ("http://a.example:443/", Some("http://a.example:443")),
            ("http://[::1]:80/", Some("http://[::1]")),
            ("http://a.example@evil.example/", None),
            ("http://a.example:99999/", None),
            ("/x", None),
        ] {
            assert_eq!(target(uri).as_deref(), read, "{uri}");
        }
    }
}
