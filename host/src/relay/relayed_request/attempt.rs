//! One attempt at a relayed request: by a term of this host, or by another host.

use std::sync::Arc;

use ::http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use tokio::time::{Instant, timeout};

use super::{AttemptResult, RelayedRequest};
use crate::{
    action::{ActiveAction, LocalOutcome, Unserved},
    http::{RequestBody, add_forwarded, strip_hop_by_hop},
    relay::{
        RelayBody,
        client::ForwardedResponse,
        error::RelayError,
        forward_error::ForwardError,
        known_leader::KnownLeader,
        limits::{LAST_SIGN, LAST_WORD, SLACK},
        relay_headers::{PassedHost, RelayHeaders},
        service::LEADER,
        tunnel, unserved_header,
    },
};
use soloist_telemetry::measure;
use soloist_trace::{KeyValue, SpanRole, TraceContext, TraceSpan, sent_request};

impl RelayedRequest {
    /// Has the action answer that runs here, under a term of this host.
    pub(super) async fn try_local(&mut self, active: &ActiveAction) -> AttemptResult {
        let request = Request::from_parts(self.head.clone(), RequestBody::Replay(self.body.read()));
        match active.answer(request).await {
            LocalOutcome::Answered(response, visit) => {
                // Requests that are answered here have the limits of their action instead.
                self.slot = None;
                AttemptResult::Answered(RelayBody::local(*response, visit).into())
            }
            LocalOutcome::NotBegun => AttemptResult::NotBegun,
            LocalOutcome::Lost => AttemptResult::Lost("its term ended".to_owned()),
        }
    }

    /// Forwards the request to the host that leads, and returns its answer.
    pub(super) async fn try_remote(
        &mut self,
        leader: &KnownLeader,
        deadline: Instant,
    ) -> Result<AttemptResult, RelayError> {
        if self.headers.has_passed(leader) {
            return Err(self.circle());
        }
        self.take_slot()?;
        let mut request = self.request_to(leader, deadline)?;
        let mut span = self.span(leader, &request);
        span.inject(request.headers_mut());
        measure::relay_forwarded(self.action.name());
        let (mut response, connection) = match self.send(leader, request).await? {
            Ok(forwarded) => forwarded,
            Err(ForwardError::Unreachable(reason)) => {
                span.fail("unreachable", reason.clone());
                let (host, group) = (&self.context.host, self.action.group());
                self.context.unreached.failed(host.name(), group, leader, &reason);
                return Ok(AttemptResult::Unreachable);
            }
            // The client's body failed, and not the leader.
            Err(ForwardError::Broken(_)) if self.body.has_failed() => {
                return Err(RelayError::BadBody);
            }
            Err(ForwardError::Broken(reason)) => {
                span.fail("lost", reason.clone());
                return Ok(AttemptResult::Lost(reason));
            }
        };
        self.context.unreached.reached(self.action.group());
        span.set_response_status(response.status());
        if unserved_header::is_unauthorized(response.headers()) {
            return Err(RelayError::Unauthorized(leader.name.clone()));
        }
        match unserved_header::unserved(response.headers()) {
            Some(Unserved::NotBegun) => return Ok(AttemptResult::NotBegun),
            Some(Unserved::Lost) => return Ok(AttemptResult::Lost("its term ended".to_owned())),
            None => {}
        }
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        match self.upgrade.take().filter(|_| switches) {
            Some(client) => {
                tunnel::open(&self.context, client, &mut response, self.slot.take());
            }
            // A 101 that the client did not ask for, or another 1xx: none is a final response.
            None if response.status().is_informational() => {
                return Err(RelayError::NotFinal(response.status()));
            }
            None => {}
        }
        strip_hop_by_hop(response.headers_mut(), switches);
        Ok(AttemptResult::Answered(RelayBody::remote(response, connection).into()))
    }

    /// Sends a request, and waits for the response for as long as `leader` leads and as its
    /// action may take. When the leadership ends meanwhile, it waits for [`LAST_WORD`] more.
    async fn send(
        &self,
        leader: &KnownLeader,
        request: Request<RequestBody>,
    ) -> Result<Result<ForwardedResponse, ForwardError>, RelayError> {
        let config = self.action.config();
        let patience = config.relay.max_hold + config.limits.response_timeout + SLACK;
        let mut sent = std::pin::pin!(timeout(patience, self.context.client.send(request)));
        let sent = tokio::select! {
            biased;
            sent = sent.as_mut() => sent,
            () = self.context.term_ended(self.action.group(), leader.fencing_token) => {
                let Ok(sent) = timeout(LAST_WORD, sent).await else {
                    let reason = "it no longer leads, and did not answer".to_owned();
                    return Ok(Err(ForwardError::Broken(reason)));
                };
                sent
            }
        };
        sent.map_err(|_| RelayError::Timeout)
    }

    /// Asks the leader whether its term goes on, after its answer broke off. If so, the answer
    /// itself is broken, and no other host will give another one.
    pub(super) async fn term_goes_on(&self, leader: &KnownLeader) -> bool {
        let Ok(uri) = self.address_at(leader).parse() else { return false };
        let mut request = Request::new(RequestBody::Empty);
        *request.uri_mut() = uri;
        let via = vec![PassedHost::this(&self.context.host)];
        let to = Some((leader.name.clone(), leader.fencing_token));
        RelayHeaders { via, target_term: to, probe: true, ..RelayHeaders::default() }
            .write(request.headers_mut());
        let sent = timeout(LAST_SIGN, self.context.client.send(request)).await;
        sent.is_ok_and(|sent| sent.is_ok_and(|(response, _)| response.status().is_success()))
    }

    /// The request as it is sent to `leader`.
    fn request_to(
        &self,
        leader: &KnownLeader,
        deadline: Instant,
    ) -> Result<Request<RequestBody>, RelayError> {
        let uri = self.address_at(leader).parse();
        let uri: Uri = uri.map_err(|_| RelayError::BadUrl(leader.url.clone()))?;
        let mut request = Request::new(RequestBody::Replay(self.body.read()));
        *request.method_mut() = self.head.method.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.head.headers);
        if self.headers.is_from_host() {
            add_forwarded(headers, self.caller);
        }
        let mut relay = self.headers.clone();
        // `host` is to name the leader's address; the plugin gets the client's `host` back.
        relay.requested_host = headers.remove(header::HOST);
        relay.via.push(PassedHost::this(&self.context.host));
        relay.target_term = Some((leader.name.clone(), leader.fencing_token));
        relay.hold = Some(deadline.saturating_duration_since(Instant::now()));
        relay.write(headers);
        *request.uri_mut() = uri;
        Ok(request)
    }

    /// The trace span of forwarding the request to `leader`.
    fn span(&self, leader: &KnownLeader, request: &Request<RequestBody>) -> TraceSpan {
        TraceSpan::begin(SpanRole::Client, TraceContext::extract(request.headers()), || {
            let action = self.action.name();
            let (method, mut about) = sent_request(request.method(), request.uri());
            let template = format!("{LEADER}{action}");
            about.extend([
                KeyValue::new("url.template", template.clone()),
                KeyValue::new("soloist.action", Arc::clone(action)),
                KeyValue::new("soloist.leader", leader.name.clone()),
            ]);
            (format!("{method} {template}").into(), about)
        })
    }

    /// The URL under which `leader` answers this request, at its control address.
    fn address_at(&self, leader: &KnownLeader) -> String {
        let path = self.head.uri.path_and_query().map_or("/", |path| path.as_str());
        format!("{}{LEADER}{}{path}", leader.url, self.action.name())
    }

    /// A redirect (307) to the leader's control address.
    pub(super) fn redirect(&self, leader: &KnownLeader) -> Result<Response<RelayBody>, RelayError> {
        let to = self.address_at(leader);
        let location =
            HeaderValue::from_str(&to).map_err(|_| RelayError::BadUrl(leader.url.clone()))?;
        let mut response = Response::new(RelayBody::text(format!("{} leads: {to}\n", leader.name)));
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        response.headers_mut().insert(header::LOCATION, location);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}
