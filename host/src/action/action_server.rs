//! Serves the requests of one action under one term: the gate, waiting for a turn, an instance, and
//! the response.

use std::sync::Arc;

use ::http::{Request, Response, header};
use tokio::{
    sync::{Semaphore, oneshot},
    time::timeout,
};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    access_log::{AccessLogEntry, RequestLine},
    action_refusal::ActionRefusal,
    guest_errors::{FAILED, log_refusal},
    guest_handle::GuestHandle,
    guest_request::{GuestRequest, RequestPermit},
    http_instances::{HttpInstances, HttpReservation},
    limited_body::{DefectWatch, LimitedBody},
    limits::{RESPONSE_HEADERS, START_TIMEOUT, TURN_TIMEOUT},
    response_body::ResponseBody,
    version_context::VersionContext,
};
use crate::http::{MatchedRoute, RequestBody, is_over_tls};
use soloist_config::IpNetwork;
use soloist_guests::{capability::TermHeaders, plugin::HttpEntryPoint};
use soloist_heart::clock::BootTime;
use soloist_leadership::{Gate, GateShut};
use soloist_telemetry::measure::{self, RequestMetrics};
use soloist_trace::{KeyValue, SpanRole, TraceContext, TraceSpan, served_request};

/// Answers the requests of one action under one term.
pub(super) struct ActionServer {
    version: Arc<VersionContext>,
    instances: HttpInstances,
    /// Limits the requests that are being answered or wait for that.
    queue_permits: Arc<Semaphore>,
    run_permits: Arc<Semaphore>,
    stamp: TermHeaders,
    requests: RequestMetrics,
}

impl ActionServer {
    /// A server whose requests are answered by `entry`.
    pub(super) fn new(version: Arc<VersionContext>, entry: HttpEntryPoint) -> Self {
        let limits = &version.action.config().limits;
        let queue_permits =
            Arc::new(Semaphore::new(limits.max_concurrent_requests + limits.max_queued_requests));
        let run_permits = Arc::new(Semaphore::new(limits.max_concurrent_requests));
        let stamp = TermHeaders::of(version.gate().term());
        let instances = HttpInstances::new(&version, entry);
        let requests = RequestMetrics::of(version.action.name());
        Self { instances, queue_permits, run_permits, stamp, requests, version }
    }

    /// Answers `request`; errors become responses as well.
    pub(super) async fn respond(
        self: &Arc<Self>,
        mut request: Request<RequestBody>,
    ) -> Response<ResponseBody> {
        let started = BootTime::now();
        let mut span = self.span(&mut request);
        let line = RequestLine::of(&request);
        let mut entry = self.log_entry(&line, &span, started);
        let answer = self.answer(request, line).await;
        if let Err(ActionRefusal::Shut(shut) | ActionRefusal::NotBegun(shut)) = &answer {
            measure::gate_refused(self.version.action.name(), shut.word());
        }
        let mut response = answer.unwrap_or_else(|refusal| refusal.response(ResponseBody::text));
        self.stamp.insert_into(response.headers_mut());
        span.set_response_status(response.status());
        self.requests.answered(response.status(), BootTime::now().since(started));
        if let Some(entry) = &mut entry {
            entry.status = Some(response.status());
        }
        response.body_mut().attach_log_entry(entry);
        response
    }

    /// The request's entry in the access log, if the log is enabled.
    fn log_entry(
        &self,
        line: &RequestLine,
        span: &TraceSpan,
        started: BootTime,
    ) -> Option<Box<AccessLogEntry>> {
        let action = &self.version.action;
        let entry = || AccessLogEntry {
            action: Arc::clone(action.name()),
            fencing_token: self.gate().term().fencing_token.0,
            request: line.clone(),
            trace: span.context().cloned(),
            started,
            status: None,
            bytes: 0,
        };
        action.config().access_log.then(|| entry().into())
    }

    /// The trace span of a request; its context is passed on to the guest.
    fn span(&self, request: &mut Request<RequestBody>) -> TraceSpan {
        let parent = TraceContext::extract(request.headers());
        let span = TraceSpan::begin(SpanRole::Server, parent, || {
            let (action, term) = (&self.version.action, self.gate().term());
            let route = request.extensions().get::<MatchedRoute>();
            let route = route.map_or("/", |route| &route.0);
            let (method, uri, headers) = (request.method(), request.uri(), request.headers());
            let (name, mut about) =
                served_request(method, uri, headers, route, is_over_tls(request));
            about.extend([
                KeyValue::new("soloist.action", Arc::clone(action.name())),
                KeyValue::new("soloist.group", term.group.to_string()),
                KeyValue::new("soloist.fencing_token", term.fencing_token.0),
            ]);
            (name.into(), about)
        });
        span.inject(request.headers_mut());
        if let Some(context) = span.context() {
            request.extensions_mut().insert(context.clone());
        }
        span
    }

    /// The proxies whose statements about the client's address are believed.
    pub(super) fn trusted_proxies(&self) -> &[IpNetwork] {
        &self.version.action.config().trusted_proxies
    }

    /// Ends the idle instances: no more requests will come.
    pub(super) fn close(&self) {
        self.instances.close();
    }

    /// While the fencing token lives, the version counts as having something in flight.
    pub(super) fn hold(&self) -> TaskTrackerToken {
        self.version.requests.hold()
    }

    /// Instantiates once as a test: a version that cannot even start gets no requests.
    pub(super) async fn try_instantiate(&self) -> Result<(), String> {
        match timeout(START_TIMEOUT, self.instances.try_instantiate()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("it trapped at its start: {}", error.root_cause())),
            Err(_) => Err("it does not finish starting".to_owned()),
        }
    }

    async fn answer(
        &self,
        request: Request<RequestBody>,
        line: RequestLine,
    ) -> Result<Response<ResponseBody>, ActionRefusal> {
        self.gate().admit().map_err(ActionRefusal::NotBegun)?;
        refuse_upgrade(&request)?;
        let (request, defects) = self.limit_body(request)?;
        let (permit, reservation) = self.acquire().await?;
        // The request may have waited, and the term may have ended meanwhile.
        self.gate().admit().map_err(ActionRefusal::NotBegun)?;
        let blame = |refusal| Err(log_refusal(&self.version, &line, refusal));
        let (sender, answer) = oneshot::channel();
        let (guest, broken) = reservation.start(GuestRequest { request, sender, permit }).await;
        let limit = self.version.action.config().limits.response_timeout;
        let answered = tokio::select! {
            biased;
            defect = defects.detected() => return Err(defect.into()),
            answered = timeout(limit, answer) => answered,
        };
        let mut response = match answered {
            // 101 would turn the connection into something that the host cannot understand, and the
            // other 1xx are no final responses (RFC 9110, section 15.2).
            Ok(Ok(Ok(response))) if response.status().is_informational() => {
                return blame(ActionRefusal::NotFinal(response.status()));
            }
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(code))) => return blame(ActionRefusal::Error(code)),
            Ok(Err(_)) => return Err(self.missing_response(guest, &line).await),
            Err(_) => return blame(ActionRefusal::Timeout),
        };
        // Hosts tell each other by these headers what happened; a guest must not be able to.
        TermHeaders::strip_reserved(response.headers_mut());
        let headers = response.headers().len();
        if headers > RESPONSE_HEADERS {
            return blame(ActionRefusal::Headers(headers));
        }
        let overseer = self.version.clone();
        Ok(ResponseBody::from_guest(response, line, overseer, broken, guest)?)
    }

    fn gate(&self) -> &Gate {
        self.version.gate()
    }

    /// Limits the size of the request's body.
    fn limit_body(
        &self,
        request: Request<RequestBody>,
    ) -> Result<(Request<LimitedBody>, DefectWatch), ActionRefusal> {
        let limit = self.version.action.config().limits.max_body_size;
        let (head, body) = request.into_parts();
        let (body, defects) =
            LimitedBody::bounded(body, limit).ok_or(ActionRefusal::TooLarge(limit))?;
        Ok((Request::from_parts(head, body), defects))
    }

    /// Waits for a turn and an instance, for at most [`TURN_TIMEOUT`]; refuses at once if the queue
    /// is full.
    async fn acquire(&self) -> Result<(RequestPermit, HttpReservation), ActionRefusal> {
        let place =
            self.queue_permits.clone().try_acquire_owned().map_err(|_| ActionRefusal::Busy)?;
        let wait = async {
            // The semaphore is never closed, so there always is a permit.
            let permit = self.run_permits.clone().acquire_owned().await.ok();
            (RequestPermit::new(place, permit), self.instances.reserve().await)
        };
        timeout(TURN_TIMEOUT, wait).await.map_err(|_| ActionRefusal::Busy)
    }

    /// Why a guest ended without a response.
    async fn missing_response(&self, guest: GuestHandle, line: &RequestLine) -> ActionRefusal {
        let ended = match guest {
            GuestHandle::Finished(ended) => Ok(ended),
            GuestHandle::Task(task) => task.await,
            GuestHandle::Ticket(ticket) => Ok(ticket.failure().await.map(Err)),
        };
        match ended {
            Ok(Some(Err(refusal))) => refusal,
            Ok(None) => GateShut::Closed.into(),
            Ok(Some(Ok(()))) => {
                self.version.log_request_error(line, FAILED, "it returned without an answer");
                ActionRefusal::Failed
            }
            Err(panic) => {
                let error = panic.to_string();
                self.version.log_request_error(line, "the host failed in a request", &error);
                ActionRefusal::Failed
            }
        }
    }
}

/// Refuses upgrades: no guest could answer one, because wasi:http has no way to express what
/// follows on the connection. (A client that only offers HTTP/2 does not ask for an upgrade.)
fn refuse_upgrade(request: &Request<RequestBody>) -> Result<(), ActionRefusal> {
    if request.headers().contains_key(header::UPGRADE) {
        Err(ActionRefusal::Upgrade)
    } else {
        Ok(())
    }
}
