//! From one host to another: one connection of HTTP/2, which is kept open.

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
    cluster::{PeerClient, STRANGER, is_unauthorized},
    task_scope::TaskScope,
};
use soloist_guests::plugin::{TaskCall, TaskOutput};
use soloist_resources::budget::{Account, CollectError, OverBudget};
use soloist_text::with_causes;
use soloist_tls::{HttpProtocol, MaybeTlsConnector};
use soloist_trace::TraceSpan;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);
/// A host that does not answer to a ping for so long is lost.
const PING: Duration = Duration::from_secs(2);
/// How much may be under way on a connection, and for one call, before the other end has
/// read it.
const CONNECTION_WINDOW: u32 = 8 << 20;
const CALL_WINDOW: u32 = 1 << 20;

/// What came of a call on another host.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CallOutcome {
    /// What that host says.
    Answered(Result<TaskOutput, TaskError>),
    /// It cannot be reached: nothing of the call was sent.
    Unreachable(String),
    /// It was lost after that.
    Lost(String),
    /// It has an answer, for which there is no room here.
    OverBudget(OverBudget),
}

impl CallOutcome {
    /// Says in the span of the call what came of it, if that is nothing.
    pub(super) fn record_in(&self, span: &mut TraceSpan) {
        match self {
            Self::Answered(Ok(_)) => {}
            Self::Answered(Err(error)) => span.fail(error.to_string()),
            Self::Unreachable(reason) | Self::Lost(reason) => span.fail(reason.clone()),
            Self::OverBudget(error) => span.fail(error.to_string()),
        }
    }
}

/// The way to other hosts.
pub(super) struct TaskClient {
    client: Client<MaybeTlsConnector, Full<Bytes>>,
    peers: PeerClient,
    host: String,
}

impl TaskClient {
    /// No connections yet; what they will be belongs to `tasks`.
    pub(super) fn new(host: &str, peers: PeerClient, tasks: &TaskScope) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let client = Client::builder(tasks.clone())
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

    /// Has `call` done by the host at `url`, whose answer is of `most` bytes at most, and is
    /// charged to `account` while it comes.
    pub(super) async fn send(
        &self,
        url: &str,
        call: &TaskCall,
        within: Duration,
        most: usize,
        account: &Account,
    ) -> CallOutcome {
        let passed = ForwardedCall { id: call.id.clone(), attempt: call.attempt, within };
        let mut request = Request::new(Full::new(call.payload.clone()));
        *request.method_mut() = Method::POST;
        match format!("{url}/v1/tasks/{}", call.name).parse() {
            Ok(uri) => *request.uri_mut() = uri,
            Err(error) => return CallOutcome::Unreachable(format!("{url} is no address: {error}")),
        }
        passed.write(request.headers_mut(), &self.host);
        self.peers.add_credential(request.headers_mut());
        if let Some(trace) = &call.trace {
            trace.write(request.headers_mut());
        }
        if let Some(form) = call.content_type.as_ref().and_then(|form| form.parse().ok()) {
            request.headers_mut().insert(header::CONTENT_TYPE, form);
        }
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) => return connection_error(&error),
        };
        let (head, body) = response.into_parts();
        let payload = match account.collect(body, most).await {
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
            None if is_unauthorized(head.status) => CallOutcome::Unreachable(STRANGER.to_owned()),
            // An older version, or no host at all.
            None => CallOutcome::Unreachable(format!("it answers with {}", head.status)),
        }
    }
}

fn connection_error(error: &legacy::Error) -> CallOutcome {
    let text = with_causes(error);
    if error.is_connect() { CallOutcome::Unreachable(text) } else { CallOutcome::Lost(text) }
}
