//! A request to a host.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{
    errors::{MAY_BE_DONE, is_other_protocol, no_answer},
    failed_hosts::FailedHosts,
    host_list::HostList,
    response::ApiResponse,
};
use crate::{
    cli::ExitError,
    cluster::{LineStream, PeerClient, PeerError},
};

/// The greatest response, in bytes; the output of a task may be long.
const LARGEST: usize = 1 << 30;

/// How long each of several hosts may take to show that it answers at all.
const PROBE: Duration = Duration::from_secs(3);
/// The greatest answer to that, in bytes.
const PROBE_LARGEST: usize = 64 << 10;

/// The answer of a host: what was asked for, or a response that refuses it.
type Answer<T> = Result<Result<T, Response<Bytes>>, PeerError>;

/// A request to a host.
pub(crate) struct ApiRequest {
    hosts: Arc<HostList>,
    peers: PeerClient,
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

impl ApiRequest {
    /// A request without query and body to `path` at the first of `hosts` that answers.
    pub(super) fn new(
        hosts: &Arc<HostList>,
        peers: &PeerClient,
        method: Method,
        path: String,
    ) -> Self {
        Self {
            hosts: Arc::clone(hosts),
            peers: peers.clone(),
            method,
            path,
            query: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// Adds a query parameter.
    pub(crate) fn option(mut self, name: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query += &format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        self
    }

    /// Sets the body, and its content type if that is known.
    pub(crate) fn body(
        mut self,
        body: impl Into<Bytes>,
        form: Option<&str>,
    ) -> Result<Self, ExitError> {
        self.body = body.into();
        if let Some(form) = form {
            let refused = |_| {
                ExitError::usage(format!("`{form}` is not a content type"))
                    .help("write one as in application/json")
            };
            self.headers.insert(header::CONTENT_TYPE, form.parse().map_err(refused)?);
        }
        Ok(self)
    }

    /// Sets `order`, as JSON, as the body.
    pub(crate) fn json_body(self, order: &impl Serialize) -> Result<Self, ExitError> {
        let json = serde_json::to_vec(order);
        let json = json.map_err(|error| ExitError::internal("cannot write JSON", &error))?;
        self.body(json, Some("application/json"))
    }

    /// Sends the request. The error says why the host refused, or that it did not answer within
    /// this time.
    pub(crate) async fn send(self, within: Duration) -> Result<ApiResponse, ExitError> {
        self.send_raw(within).await?.into_success()
    }

    /// Sends the request, and returns the response line by line as it arrives. The stream may
    /// pause for up to `quiet`.
    pub(crate) async fn stream(self, quiet: Duration) -> Result<LineStream, ExitError> {
        let peers = self.peers.clone();
        let (url, answer) =
            self.ask(async |request| peers.start_lines(request, quiet).await).await?;
        match answer {
            Ok(reading) => Ok(reading),
            Err(refusal) => Err(ApiResponse::new(url, refusal).refusal()?),
        }
    }

    /// Sends the request, and returns the response whatever its status.
    pub(super) async fn send_raw(self, within: Duration) -> Result<ApiResponse, ExitError> {
        let peers = self.peers.clone();
        let ask = async |request| {
            let answer = peers.ask(request, Some(within), LARGEST).await?;
            Ok(if answer.status().is_success() { Ok(answer) } else { Err(answer) })
        };
        let (url, answer) = self.ask(ask).await?;
        Ok(ApiResponse::new(url, answer.unwrap_or_else(|refusal| refusal)))
    }

    /// Asks one host after the other until one answers and grants access.
    ///
    /// A change is sent to the next host only if the one before has certainly not received it, or
    /// has denied access.
    async fn ask<T>(
        self,
        ask: impl AsyncFn(Request<Bytes>) -> Answer<T>,
    ) -> Result<(Arc<str>, Result<T, Response<Bytes>>), ExitError> {
        let mut failed = FailedHosts::default();
        for (number, url) in self.hosts.in_turn() {
            // A host that hangs would hold up a question for long, and leave a change in doubt.
            if !self.hosts.is_single()
                && let Err(error) = self.probe(url).await
            {
                failed.add(url, no_answer(url, &error));
                continue;
            }
            match ask(self.build(url)?).await {
                Ok(Err(refusal)) if is_denied(refusal.status()) => {
                    failed.add(url, ApiResponse::new(Arc::clone(url), refusal).refusal()?);
                }
                Ok(answer) => {
                    self.hosts.answered(number);
                    return Ok((Arc::clone(url), answer));
                }
                Err(error) if self.is_in_doubt(&error) => {
                    return Err(no_answer(url, &error).help(MAY_BE_DONE));
                }
                Err(error) => failed.add(url, no_answer(url, &error)),
            }
        }
        Err(failed.into_error())
    }

    /// Whether the host may have carried out a change, though it has not answered.
    fn is_in_doubt(&self, error: &PeerError) -> bool {
        self.method != Method::GET && error.may_have_arrived() && !is_other_protocol(error)
    }

    /// Asks whether the host answers at all.
    async fn probe(&self, url: &str) -> Result<(), PeerError> {
        let uri = format!("{url}/livez");
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri.parse().map_err(|_| PeerError::BadUrl(uri))?;
        self.peers.ask(request, Some(PROBE), PROBE_LARGEST).await.map(drop)
    }

    fn build(&self, url: &str) -> Result<Request<Bytes>, ExitError> {
        let uri = format!("{url}{}{}", self.path, self.query);
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() =
            uri.parse().map_err(|error| ExitError::internal("cannot make an address", &error))?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}

fn is_denied(code: StatusCode) -> bool {
    matches!(code, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}
