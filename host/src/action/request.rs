//! One request: the gate, its turn, an instance, and the answer.

use std::sync::Arc;

use ::http::{Request, Response, header};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};
use tokio_util::task::task_tracker::TaskTrackerToken;
use wasmtime_wasi_http::WasiBody;

use super::{
    asked::{Asked, Entry},
    body::ReplyBody,
    connection::Secure,
    fate::Tie,
    inbound::Inbound,
    instances::{Instances, Place},
    limits::{ANSWER_HEADERS, REHEARSAL, REQUEST_TURN},
    refusal::{FAILED, Refusal, note},
    running::Run,
    upload::{Flaws, Upload},
};
use soloist_config::Network;
use soloist_guests::{capability::Stamp, plugin::HttpEntry};
use soloist_heart::clock::BootTime;
use soloist_leadership::{Gate, Shut};
use soloist_telemetry::measure::{self, Requests};
use soloist_trace::{KeyValue, Role, Span, TraceContext};

/// Where a guest's answer goes: a response, or the error that it answers with.
pub(super) type Head = oneshot::Sender<Result<Response<WasiBody>, String>>;

/// The right to be answered; it is given back when the guest is done with the request.
pub(super) struct Turn {
    _place: OwnedSemaphorePermit,
    _turn: Option<OwnedSemaphorePermit>,
}

/// Answers the requests of one action under one term.
pub(super) struct Server {
    run: Arc<Run>,
    instances: Instances,
    /// For those that are answered and those that wait.
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    stamp: Stamp,
    requests: Requests,
}

impl Server {
    /// A server for requests that `entry` answers.
    pub(super) fn new(run: Arc<Run>, entry: HttpEntry) -> Self {
        let limits = &run.action.config.limits;
        let places = Arc::new(Semaphore::new(limits.requests + limits.queue));
        let turns = Arc::new(Semaphore::new(limits.requests));
        let stamp = Stamp::of(run.gate().term());
        let instances = Instances::new(&run, entry);
        let requests = Requests::of(run.action.name());
        Self { instances, places, turns, stamp, requests, run }
    }

    /// Answers `request`, whatever happens.
    pub(super) async fn respond(
        self: &Arc<Self>,
        mut request: Request<Inbound>,
    ) -> Response<ReplyBody> {
        let begun = BootTime::now();
        let mut span = self.span(&mut request);
        let asked = Asked::of(&request);
        let mut entry = self.entry(&asked, &span, begun);
        let answer = self.answer(request, asked).await;
        if let Err(Refusal::Shut(shut) | Refusal::NotBegun(shut)) = &answer {
            measure::refused(self.run.action.name(), shut.word());
        }
        let mut response = answer.unwrap_or_else(|refusal| refusal.response());
        self.stamp.put(response.headers_mut());
        span.answered(response.status());
        self.requests.answered(response.status(), BootTime::now().since(begun));
        if let Some(entry) = &mut entry {
            entry.status = Some(response.status());
        }
        response.body_mut().note_in(entry);
        response
    }

    /// Its line of the access log, if there is one.
    fn entry(&self, asked: &Asked, span: &Span, begun: BootTime) -> Option<Box<Entry>> {
        let action = &self.run.action;
        let entry = || Entry {
            action: Arc::clone(action.name()),
            token: self.gate().term().token.0,
            asked: asked.clone(),
            trace: span.context().cloned(),
            begun,
            status: None,
            bytes: 0,
        };
        action.config.access_log.then(|| entry().into())
    }

    /// The span of a request, which the guest is told of.
    fn span(&self, request: &mut Request<Inbound>) -> Span {
        let parent = TraceContext::read(request.headers());
        let span = Span::begin(Role::Server, parent, || {
            let (action, term) = (&self.run.action, self.gate().term());
            let about = vec![
                KeyValue::new("http.request.method", request.method().to_string()),
                KeyValue::new("url.path", request.uri().path().to_owned()),
                KeyValue::new("soloist.action", Arc::clone(action.name())),
                KeyValue::new("soloist.group", term.group.to_string()),
                KeyValue::new("soloist.token", term.token.0),
            ];
            (format!("{} {}", request.method(), action.name()).into(), about)
        });
        span.write(request.headers_mut());
        if let Some(context) = span.context() {
            request.extensions_mut().insert(context.clone());
        }
        span
    }

    /// The proxies that are believed about where requests come from.
    pub(super) fn trusted_proxies(&self) -> &[Network] {
        &self.run.action.config.trusted_proxies
    }

    /// No request comes any more: instances that wait for one end.
    pub(super) fn close(&self) {
        self.instances.close();
    }

    /// As long as the token lives, something is regarded as in flight.
    pub(super) fn occupy(&self) -> TaskTrackerToken {
        self.run.work.occupy()
    }

    /// Instantiates once, for nothing: a version that cannot even begin is not let near
    /// a request.
    pub(super) async fn rehearse(&self) -> Result<(), String> {
        match timeout(REHEARSAL, self.instances.rehearse()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("it trapped at its start: {}", error.root_cause())),
            Err(_) => Err("its start does not end".to_owned()),
        }
    }

    async fn answer(
        &self,
        request: Request<Inbound>,
        asked: Asked,
    ) -> Result<Response<ReplyBody>, Refusal> {
        self.gate().admit().map_err(Refusal::NotBegun)?;
        check(&request)?;
        let (request, flaws) = self.bounded(request)?;
        let (turn, place) = self.turn().await?;
        // It may have waited.
        self.gate().admit().map_err(Refusal::NotBegun)?;
        let blame = |refusal| Err(note(&self.run, &asked, refusal));
        let (head, answer) = oneshot::channel();
        let (guest, fate) = place.begin(turn, request, head).await;
        let patience = self.run.action.config.limits.first_byte;
        let answered = tokio::select! {
            biased;
            flaw = flaws.show() => return Err(flaw.into()),
            answered = timeout(patience, answer) => answered,
        };
        let mut response = match answered {
            // 101 would make a connection of which nobody knows what follows, and the others
            // of its kind are no answers (RFC 9110, section 15.2).
            Ok(Ok(Ok(response))) if response.status().is_informational() => {
                return blame(Refusal::NotFinal(response.status()));
            }
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(code))) => return blame(Refusal::Error(code)),
            Ok(Err(_)) => return Err(self.silence(guest, &asked).await),
            Err(_) => return blame(Refusal::Late),
        };
        // What hosts say to each other, a guest cannot.
        Stamp::take_off_all(response.headers_mut());
        let headers = response.headers().len();
        if headers > ANSWER_HEADERS {
            return blame(Refusal::Headers(headers));
        }
        let overseer = self.run.clone();
        Ok(ReplyBody::wrap(response, asked, overseer, fate, guest)?)
    }

    fn gate(&self) -> &Gate {
        self.run.gate()
    }

    /// Holds the body of a request to its limit.
    fn bounded(&self, request: Request<Inbound>) -> Result<(Request<Upload>, Flaws), Refusal> {
        let limit = self.run.action.config.limits.body;
        let (head, body) = request.into_parts();
        let (body, flaws) = Upload::bounded(body, limit).ok_or(Refusal::TooLarge(limit))?;
        Ok((Request::from_parts(head, body), flaws))
    }

    /// Waits for this action's turn and for an instance, for a while and if there is
    /// room to wait.
    async fn turn(&self) -> Result<(Turn, Place), Refusal> {
        let room = self.places.clone().try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let wait = async {
            // The semaphore is never closed, so there always is a permit.
            let turn = self.turns.clone().acquire_owned().await.ok();
            (Turn { _place: room, _turn: turn }, self.instances.place().await)
        };
        timeout(REQUEST_TURN, wait).await.map_err(|_| Refusal::Busy)
    }

    /// Why a guest ended without an answer.
    async fn silence(&self, guest: Tie, asked: &Asked) -> Refusal {
        let ended = match guest {
            Tie::Over(ended) => Ok(ended),
            Tie::Task(task) => task.await,
            Tie::Ticket(ticket) => Ok(ticket.reason().await.map(Err)),
        };
        match ended {
            Ok(Some(Err(refusal))) => refusal,
            Ok(None) => Shut::Closed.into(),
            Ok(Some(Ok(()))) => {
                self.run.request_trouble(asked, FAILED, "it returned without an answer");
                Refusal::Failed
            }
            Err(panic) => {
                let error = panic.to_string();
                self.run.request_trouble(asked, "the host failed in a request", &error);
                Refusal::Failed
            }
        }
    }
}

/// Refuses what no guest could answer: what follows on the connection would be none of HTTP's,
/// and wasi:http has no words for that. (Whoever only offers HTTP/2 does not ask for it.)
fn check(request: &Request<Inbound>) -> Result<(), Refusal> {
    if request.headers().contains_key(header::UPGRADE) { Err(Refusal::Upgrade) } else { Ok(()) }
}

/// Whether it came by TLS.
pub(super) fn is_secure<B>(request: &Request<B>) -> bool {
    request.extensions().get::<Secure>().is_some()
}
