//! One request: the gate, its turn, a fresh instance, and the answer.

use std::{convert::Infallible, str::FromStr, sync::Arc};

use ::http::{HeaderValue, Request, Response, StatusCode, header, uri::Authority};
use hyper::body::Incoming;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};
use wasmtime::{PoolConcurrencyLimitError, Store};
use wasmtime_wasi_http::{
    WasiHttpView,
    p2::{
        bindings::{
            ProxyPre,
            http::types::{ErrorCode, Scheme},
        },
        body::HyperOutgoingBody,
    },
};

use super::{
    body::ReplyBody,
    fate::{Fate, GuestTask},
    limits::{REQUEST, REQUEST_TURN, RESPONSE_HEAD},
    refusal::Refusal,
    running::Run,
};
use crate::{
    capability::{Gate, GuestState, Shut, Stamp},
    measure,
    plugin::{Guest, Slot},
};

/// What the guest answers, or the error that it answers with.
type Answer = Result<Response<HyperOutgoingBody>, ErrorCode>;

/// Answers the requests of one action under one term.
pub(super) struct Server {
    run: Arc<Run>,
    entry: ProxyPre<GuestState>,
    turns: Arc<Semaphore>,
    stamp: Stamp,
}

impl Server {
    /// A server for requests that `entry` answers.
    pub(super) fn new(run: Arc<Run>, entry: ProxyPre<GuestState>) -> Self {
        let turns = Arc::new(Semaphore::new(run.action.config.requests));
        let stamp = Stamp::of(run.gate().term());
        Self { entry, turns, stamp, run }
    }

    /// Answers `request`, whatever happens.
    pub(super) async fn respond(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<ReplyBody>, Infallible> {
        let answer = self.answer(request).await;
        if let Err(Refusal::Shut(shut)) = &answer {
            measure::refused(self.run.action.name(), shut.word());
        }
        let mut response = answer.unwrap_or_else(|refusal| refuse(&refusal));
        self.stamp.put(response.headers_mut());
        Ok(response)
    }

    async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<ReplyBody>, Refusal> {
        self.gate().admit()?;
        if !names_host(&request) {
            return Err(Refusal::NoHost);
        }
        let (turn, slot) = timeout(REQUEST_TURN, self.turn()).await.map_err(|_| Refusal::Busy)?;
        // It may have waited.
        self.gate().admit()?;
        let expects_body = request.method() != ::http::Method::HEAD;
        let fate = Fate::default();
        let (head, answer) = oneshot::channel();
        let task = self.clone().run_guest(request, slot, head, fate.clone(), turn);
        let guest = GuestTask::new(self.run.work.spawn(task));
        let response = match timeout(RESPONSE_HEAD, answer).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(code))) => return Err(self.note(Refusal::Error(code))),
            Ok(Err(_)) => return Err(self.silence(guest).await),
            Err(_) => return Err(self.note(Refusal::Late)),
        };
        let gate = self.run.gate().clone();
        Ok(ReplyBody::wrap(response, expects_body, gate, fate, guest)?)
    }

    fn gate(&self) -> &Gate {
        self.run.gate()
    }

    /// Waits for this action's turn and for a slot of the engine.
    async fn turn(&self) -> (Option<OwnedSemaphorePermit>, Slot) {
        // The semaphore is never closed, so there always is a permit.
        let turn = self.turns.clone().acquire_owned().await.ok();
        (turn, self.run.action.engine().slot().await)
    }

    /// The task of one guest. `fate` is told before the store is dropped,
    /// whichever way it ends; `_turn` is given back after that.
    async fn run_guest(
        self: Arc<Self>,
        request: Request<Incoming>,
        slot: Slot,
        head: oneshot::Sender<Answer>,
        fate: Fate,
        _turn: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Refusal> {
        let state = match GuestState::new(&self.run.access) {
            Ok(state) => state,
            Err(error) => return Err(self.judge(&error)),
        };
        let mut guest = Guest::new(self.run.action.engine(), slot, state);
        let broken = fate.broken_unless_told();
        let handled = timeout(REQUEST, handle(&self.entry, guest.store(), request, head)).await;
        let ended = handled.unwrap_or_else(|_| Err(wasmtime::format_err!("it took too long")));
        match ended {
            Ok(()) => {
                broken.tell_finished();
                Ok(())
            }
            Err(error) => Err(self.judge(&error)),
        }
    }

    /// Logs what the plugin is to blame for.
    fn note(&self, refusal: Refusal) -> Refusal {
        self.run.trouble("the plugin failed in a request", &refusal.to_string());
        refusal
    }

    /// What an error of a guest means; it is logged unless the term caused it.
    fn judge(&self, error: &wasmtime::Error) -> Refusal {
        if let Err(shut) = self.gate().pass() {
            return shut.into();
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return Refusal::Busy;
        }
        self.run.trouble("the plugin failed in a request", &error.root_cause().to_string());
        tracing::debug!("{error:?}");
        Refusal::Failed
    }

    /// Why a guest ended without an answer.
    async fn silence(&self, guest: GuestTask) -> Refusal {
        match guest.await {
            Ok(Some(Err(refusal))) => refusal,
            Ok(None) => Shut::Closed.into(),
            Ok(Some(Ok(()))) => {
                self.run.trouble("the plugin failed in a request", "it returned without an answer");
                Refusal::Failed
            }
            Err(panic) => {
                self.run.trouble("the host failed in a request", &panic.to_string());
                Refusal::Failed
            }
        }
    }
}

/// The response that tells a client of `refusal`.
fn refuse(refusal: &Refusal) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::text(format!("{refusal}\n")));
    *response.status_mut() = refusal.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if matches!(refusal, Refusal::Shut(_)) {
        // The next leader is found by another connection only.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if refusal.status() == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Instantiates, and hands over the request.
async fn handle(
    entry: &ProxyPre<GuestState>,
    store: &mut Store<GuestState>,
    request: Request<Incoming>,
    head: oneshot::Sender<Answer>,
) -> wasmtime::Result<()> {
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(Scheme::Http, request)?;
    let out = http.new_response_outparam(head)?;
    let proxy = entry.instantiate_async(&mut *store).await?;
    proxy.wasi_http_incoming_handler().call_handle(store, request, out).await
}

/// Whether the guest can be told which host the client asked for.
fn names_host(request: &Request<Incoming>) -> bool {
    let in_header = || request.headers().get(header::HOST)?.to_str().ok();
    request.uri().authority().is_some()
        || in_header().is_some_and(|host| Authority::from_str(host).is_ok())
}
