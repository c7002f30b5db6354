//! The HTTP client by which calls are forwarded: one HTTP/2 connection to each host, which is kept.

use std::time::Duration;

use ::http::{Method, Request, header};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::TokioTimer,
};

use super::forwarded_call::{self, ForwardedCall};
use crate::{
    action::TaskError,
    cluster::{
        MisdirectedRequest, PeerAddress, PeerClient, UNAUTHORIZED, is_unauthorized, reached,
    },
    task_scope::TaskScope,
};
use soloist_guests::plugin::{TaskCall, TaskOutput};
use soloist_resources::budget::{Account, CollectError, OverBudget};
use soloist_text::with_causes;
use soloist_tls::{HttpProtocol, MaybeTlsConnector};
use soloist_trace::TraceSpan;

/// How long connecting to another host may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How often a connection is pinged; a host that does not answer a ping for as long is lost.
const PING: Duration = Duration::from_secs(2);
/// Flow control windows in bytes, of a connection and of one call on it.
const CONNECTION_WINDOW: u32 = 8 << 20;
const CALL_WINDOW: u32 = 1 << 20;

/// The outcome of one attempt at a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CallOutcome {
    /// The host answered, with the task's output or an error.
    Answered(Result<TaskOutput, TaskError>),
    /// The host could not be reached, or is none: it did not begin the call.
    Unreachable(String),
    /// The connection was lost after the call was sent; the task may have run.
    Lost(String),
    /// The answer exceeds the memory that the caller may use.
    OverBudget(OverBudget),
}

impl CallOutcome {
    /// Marks the attempt's span as failed, if it did.
    pub(super) fn record_in(&self, span: &mut TraceSpan) {
        match self {
            Self::Answered(Ok(_)) => {}
            Self::Answered(Err(error)) => span.fail(error.as_str(), error.to_string()),
            Self::Unreachable(reason) => span.fail("unreachable", reason.clone()),
            Self::Lost(reason) => span.fail("lost", reason.clone()),
            Self::OverBudget(error) => span.fail("busy", error.to_string()),
        }
    }
}

/// Sends calls to other hosts.
pub(super) struct TaskClient {
    client: Client<MaybeTlsConnector, Full<Bytes>>,
    peers: PeerClient,
    host: String,
}

impl TaskClient {
    /// A client of `host` without connections yet; `tasks` owns those that it will make.
    pub(super) fn new(host: &str, peers: PeerClient, scope: &TaskScope) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let client = Client::builder(scope.clone())
            .http2_only(true)
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_initial_stream_window_size(CALL_WINDOW)
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PING)
            .build(peers.connector(connector, HttpProtocol::Http2));
        Self { client, peers, host: host.to_owned() }
    }

    /// Has the host `to` do `call`. The answer may have `limit` bytes, which are charged to
    /// `account` as they arrive.
    pub(super) async fn send(
        &self,
        to: PeerAddress<'_>,
        call: &TaskCall,
        within: Duration,
        limit: usize,
        account: &Account,
    ) -> CallOutcome {
        let url = to.url;
        let forwarded = ForwardedCall { id: call.id.clone(), attempt: call.attempt, within };
        let mut request = Request::new(Full::new(call.payload.clone()));
        *request.method_mut() = Method::POST;
        match format!("{url}/v1/tasks/{}", call.name).parse() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => {
                return CallOutcome::Unreachable(format!("{url} is not an address: {error}"));
            }
        }
        forwarded.write(request.headers_mut(), &self.host, to.host);
        self.peers.add_credential(request.headers_mut());
        if let Some(trace) = &call.trace {
            trace.inject(request.headers_mut());
        }
        if let Some(form) = call.content_type.as_ref().and_then(|form| form.parse().ok()) {
            request.headers_mut().insert(header::CONTENT_TYPE, form);
        }
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return connection_error(&error),
        };
        let (head, body) = response.into_parts();
        if let Some(reached) = reached(&head.headers) {
            let (from, to) = (self.host.clone(), to.host.to_owned());
            let url = url.to_owned();
            let wrong = MisdirectedRequest { from, to, to_leader: false, url, reached };
            return CallOutcome::Unreachable(wrong.to_string());
        }
        let payload = match account.collect(body, limit).await {
            Ok(payload) => payload,
            Err(CollectError::OverBudget(error)) => return CallOutcome::OverBudget(error),
            Err(error) => return CallOutcome::Lost(format!("its answer broke off: {error}")),
        };
        if head.status.is_success() {
            let form = head.headers.get(header::CONTENT_TYPE);
            let content_type = form.and_then(|form| form.to_str().ok()).map(ToOwned::to_owned);
            return CallOutcome::Answered(Ok(TaskOutput { payload, content_type }));
        }
        let text = String::from_utf8_lossy(&payload).into_owned();
        match forwarded_call::error(head.status, text, within) {
            Some(error) => CallOutcome::Answered(Err(error)),
            None if is_unauthorized(head.status) => {
                CallOutcome::Unreachable(UNAUTHORIZED.to_owned())
            }
            // An older version of soloist, or another program.
            None => CallOutcome::Unreachable(format!("it answers with {}", head.status)),
        }
    }
}

fn connection_error(error: &legacy::Error) -> CallOutcome {
    let text = with_causes(error);
    if error.is_connect() { CallOutcome::Unreachable(text) } else { CallOutcome::Lost(text) }
}
