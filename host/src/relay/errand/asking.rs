//! One try of an errand: a term of this host, or another host.

use std::sync::Arc;

use ::http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use tokio::time::{Instant, timeout};

use super::{Errand, Tried};
use crate::{
    action::{Inbound, Performer, Unserved, Visit, add_forwarded, take_off_hop_by_hop},
    relay::{
        Carried,
        desk::LEADER,
        failed::Failed,
        hop::Hopped,
        limits::{LAST_SIGN, LAST_WORD, SLACK},
        marks,
        refusal::Refusal,
        shared::Leader,
        trail::Trail,
        tunnel,
    },
};
use soloist_telemetry::measure;
use soloist_trace::{KeyValue, Role, Span, TraceContext};

impl Errand {
    /// Has a term of this host answer.
    pub(super) async fn ask_here(&mut self, performer: &Performer) -> Tried {
        let request = Request::from_parts(self.head.clone(), Inbound::Kept(self.body.read()));
        match performer.answer(request).await {
            Visit::Answered(response, visit) => {
                // What did not wait does not count.
                self.place = None;
                Tried::Answered(Carried::here(*response, visit).into())
            }
            Visit::NotBegun => Tried::NotBegun,
            Visit::Lost => Tried::Lost("its term ended".to_owned()),
        }
    }

    /// Has another host answer.
    pub(super) async fn ask_there(
        &mut self,
        leader: &Leader,
        deadline: Instant,
    ) -> Result<Tried, Refusal> {
        if self.trail.via.contains(&leader.name) {
            return Err(Refusal::Loop(leader.name.clone()));
        }
        self.occupy()?;
        let mut request = self.request_to(leader, deadline)?;
        let mut span = self.span(leader, &request);
        span.write(request.headers_mut());
        measure::relay_forwarded(self.action.name());
        let (mut response, line) = match self.send(leader, request).await? {
            Ok(hopped) => hopped,
            Err(Failed::Unreachable(reason)) => {
                span.fail(reason.clone());
                tracing::debug!(leader = leader.name, reason, "the leader cannot be reached");
                return Ok(Tried::Unreachable);
            }
            // It was not the leader who broke off.
            Err(Failed::Broken(_)) if self.body.is_bad() => return Err(Refusal::BadBody),
            Err(Failed::Broken(reason)) => {
                span.fail(reason.clone());
                return Ok(Tried::Lost(reason));
            }
        };
        span.answered(response.status());
        if marks::is_stranger(response.headers()) {
            return Err(Refusal::Stranger(leader.name.clone()));
        }
        match marks::unserved(response.headers()) {
            Some(Unserved::NotBegun) => return Ok(Tried::NotBegun),
            Some(Unserved::Lost) => return Ok(Tried::Lost("its term ended".to_owned())),
            None => {}
        }
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        match self.upgrade.take().filter(|_| switches) {
            Some(client) => {
                tunnel::open(&self.shared, client, &mut response, self.place.take());
            }
            // Nobody has asked for another protocol, nor may anything else of its kind come last.
            None if response.status().is_informational() => {
                return Err(Refusal::NotFinal(response.status()));
            }
            None => {}
        }
        take_off_hop_by_hop(response.headers_mut(), switches);
        Ok(Tried::Answered(Carried::there(response, line).into()))
    }

    /// Sends a request, as long as whom it is sent to leads, and its action may take.
    async fn send(
        &self,
        leader: &Leader,
        request: Request<Inbound>,
    ) -> Result<Result<Hopped, Failed>, Refusal> {
        let config = self.action.config();
        let patience = config.relayed.hold + config.limits.first_byte + SLACK;
        let mut sent = std::pin::pin!(timeout(patience, self.shared.hops.send(request)));
        let sent = tokio::select! {
            biased;
            sent = sent.as_mut() => sent,
            () = self.shared.deposed(self.action.group(), leader.token) => {
                let Ok(sent) = timeout(LAST_WORD, sent).await else {
                    let reason = "it does not lead any more, and did not answer".to_owned();
                    return Ok(Err(Failed::Broken(reason)));
                };
                sent
            }
        };
        sent.map_err(|_| Refusal::Late)
    }

    /// Whether the term of a leader whose answer broke off goes on: then it is the answer that is
    /// broken, and nobody else will give another.
    pub(super) async fn goes_on(&self, leader: &Leader) -> bool {
        let Ok(uri) = self.address_at(leader).parse() else { return false };
        let mut request = Request::new(Inbound::Nothing);
        *request.uri_mut() = uri;
        let via = vec![self.shared.host.to_string()];
        let to = Some((leader.name.clone(), leader.token));
        Trail { via, to, probe: true, ..Trail::default() }.write(request.headers_mut());
        let said = timeout(LAST_SIGN, self.shared.hops.send(request)).await;
        said.is_ok_and(|said| said.is_ok_and(|(said, _)| said.status().is_success()))
    }

    /// The request as it is sent to `leader`.
    fn request_to(&self, leader: &Leader, deadline: Instant) -> Result<Request<Inbound>, Refusal> {
        let uri = self.address_at(leader).parse();
        let uri: Uri = uri.map_err(|_| Refusal::NoUrl(leader.url.clone()))?;
        let mut request = Request::new(Inbound::Kept(self.body.read()));
        *request.method_mut() = self.head.method.clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.head.headers);
        if self.trail.is_from_host() {
            add_forwarded(headers, self.caller);
        }
        let mut trail = self.trail.clone();
        // The plugin is to learn which host the client has asked for; the other host, that it
        // is meant itself.
        trail.asked = headers.remove(header::HOST);
        trail.via.push(self.shared.host.to_string());
        trail.to = Some((leader.name.clone(), leader.token));
        trail.hold = Some(deadline.saturating_duration_since(Instant::now()));
        trail.write(headers);
        *request.uri_mut() = uri;
        Ok(request)
    }

    /// The span of asking `leader`.
    fn span(&self, leader: &Leader, request: &Request<Inbound>) -> Span {
        Span::begin(Role::Client, TraceContext::read(request.headers()), || {
            let (method, action) = (request.method().to_string(), self.action.name());
            let about = vec![
                KeyValue::new("http.request.method", method.clone()),
                KeyValue::new("soloist.action", Arc::clone(action)),
                KeyValue::new("soloist.leader", leader.name.clone()),
            ];
            (format!("forward {method} {action}").into(), about)
        })
    }

    /// Where `leader` answers what is asked for.
    fn address_at(&self, leader: &Leader) -> String {
        let path = self.head.uri.path_and_query().map_or("/", |path| path.as_str());
        format!("{}{LEADER}{}{path}", leader.url, self.action.name())
    }

    /// Tells the client where the leader answers.
    pub(super) fn redirect(&self, leader: &Leader) -> Result<Response<Carried>, Refusal> {
        let to = self.address_at(leader);
        let location =
            HeaderValue::from_str(&to).map_err(|_| Refusal::NoUrl(leader.url.clone()))?;
        let mut response = Response::new(Carried::text(format!("{} leads: {to}\n", leader.name)));
        *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        response.headers_mut().insert(header::LOCATION, location);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}
