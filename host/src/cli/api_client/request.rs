//! A request to a host.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::{errors::no_answer, response::ApiResponse};
use crate::{
    cli::ExitError,
    cluster::{LineStream, PeerClient},
};

/// The greatest response, in bytes; the output of a task may be long.
const LARGEST: usize = 1 << 30;

/// The help when the response to a command was lost.
const IN_DOUBT: &str = "it may have been done all the same: look before you ask again \
                        (`soloist status`, or what shows what was to change)";

/// A request to a host.
pub(crate) struct ApiRequest {
    url: Arc<str>,
    peers: PeerClient,
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

impl ApiRequest {
    /// A request without query and body to `path` at the host whose URL is `url`.
    pub(super) fn new(url: &Arc<str>, peers: &PeerClient, method: Method, path: String) -> Self {
        Self {
            url: Arc::clone(url),
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
                ExitError::usage(format!("`{form}` is not the name of a form"))
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
        let (url, peers) = (Arc::clone(&self.url), self.peers.clone());
        let begun = peers.start_lines(self.build()?, quiet).await;
        match begun.map_err(|error| no_answer(&url, &error))? {
            Ok(reading) => Ok(reading),
            Err(answer) => Err(ApiResponse::new(url, answer).refusal()?),
        }
    }

    /// Sends the request, and returns the response whatever its status.
    pub(super) async fn send_raw(self, within: Duration) -> Result<ApiResponse, ExitError> {
        let (url, peers) = (Arc::clone(&self.url), self.peers.clone());
        let changes = self.method != Method::GET;
        let answer = peers.ask(self.build()?, Some(within), LARGEST).await;
        let answer = answer.map_err(|error| match no_answer(&url, &error) {
            exit if changes && error.may_have_arrived() => exit.help(IN_DOUBT),
            exit => exit,
        })?;
        Ok(ApiResponse::new(url, answer))
    }

    fn build(self) -> Result<Request<Bytes>, ExitError> {
        let uri = format!("{}{}{}", self.url, self.path, self.query);
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() =
            uri.parse().map_err(|error| ExitError::internal("cannot make an address", &error))?;
        *request.headers_mut() = self.headers;
        Ok(request)
    }
}
