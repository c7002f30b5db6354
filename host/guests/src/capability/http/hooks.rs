//! The hooks by which wasmtime sends the requests of a guest: what may be sent, and with which
//! headers.

use std::sync::Arc;

use ::http::{Method, Request, Response};
use http_body_util::BodyExt;
use tracing::warn;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::{
    alive_flag::AliveFlag,
    body::{CHUNK, OutgoingBody},
    exchange,
    gate::pass_gate,
};
use crate::capability::{ActionAccess, TermHeaders, outbound::RequestTarget};
use soloist_trace::{KeyValue, SpanRole, TraceContext, TraceSpan, sent_request};

type Transmission = Box<dyn Future<Output = Result<(), Error>> + Send>;
type ExchangeResult = Result<(Response<WasiBody>, Transmission), Error>;

/// Decides about outgoing requests of a guest.
pub(super) struct OutgoingHooks {
    pub(super) access: Arc<ActionAccess>,
    pub(super) trace: Option<TraceContext>,
    pub(super) alive: AliveFlag,
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
            let response = response
                .await
                .inspect_err(|error| span.fail(error_type(error), error.to_string()))?;
            span.set_response_status(response.status());
            Ok((response, Box::new(std::future::ready(Ok(()))) as Transmission))
        })
    }
}

impl OutgoingHooks {
    fn admit(&self, request: &Request<WasiBody>) -> Result<(), Error> {
        pass_gate(self.access.gate())?;
        let target = RequestTarget::of(request.uri()).ok_or(Error::HttpRequestUriInvalid)?;
        let listed = target.entries(&self.access.grants).next().is_some();
        // `CONNECT` would open a tunnel to hosts that no entry names.
        if listed && request.method() != Method::CONNECT {
            return Ok(());
        }
        let (name, place) = (&self.access.action, &self.access.grants.written_in);
        let denial = format!(
            "request denied: `outbound = [\"{target}\"]` in {place} lets the plugin send there"
        );
        // Once for each target, then with a count.
        self.access.requests_denied.report_text(&target.to_string(), |repeats| {
            let what = format!("{denial}{repeats}");
            let (fencing_token, method) =
                (self.access.gate().term().fencing_token.0, request.method());
            warn!(action = %name, fencing_token, %method, to = %target, "{what}");
            self.access.log.add_host_line(&what);
        });
        self.access.log.note_denial(denial);
        Err(Error::HttpRequestDenied)
    }

    /// Sets the headers that name the term, and removes those that the guest has set.
    fn set_term_headers(&self, request: &mut Request<WasiBody>) {
        let headers = request.headers_mut();
        TermHeaders::strip(headers);
        if self.access.grants.outbound_fencing_token && self.access.term.is_some() {
            TermHeaders::of(self.access.gate().term()).insert_into(headers);
        }
    }

    /// Puts the request into its trace, unless the guest has done so itself.
    fn begin_span(&self, request: &mut Request<WasiBody>) -> TraceSpan {
        if TraceContext::is_present(request.headers()) {
            return TraceSpan::disabled();
        }
        let span = TraceSpan::begin(SpanRole::Client, self.trace.clone(), || {
            let (name, mut about) = sent_request(request.method(), request.uri());
            about.push(KeyValue::new("soloist.action", Arc::clone(&self.access.action)));
            (name.into(), about)
        });
        if let Some(context) = span.context() {
            context.inject(request.headers_mut());
        }
        span
    }
}

/// The name of the kind of an error, as in `ConnectionRefused`.
fn error_type(error: &Error) -> String {
    let shown = format!("{error:?}");
    let end = shown.find(|c: char| !c.is_alphanumeric()).unwrap_or(shown.len());
    shown[..end].to_owned()
}
