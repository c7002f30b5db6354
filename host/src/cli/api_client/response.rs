//! The response of a host.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::de::DeserializeOwned;

use super::errors::{parse, refusal, unexpected_answer};
use crate::cli::ExitError;

/// The response of a host.
pub(crate) struct ApiResponse {
    url: Arc<str>,
    answer: Response<Bytes>,
}

impl ApiResponse {
    /// The response `answer` of the host at `url`.
    pub(super) fn new(url: Arc<str>, answer: Response<Bytes>) -> Self {
        Self { url, answer }
    }

    /// The URL of the host that answered.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Its status code.
    pub(super) fn status(&self) -> StatusCode {
        self.answer.status()
    }

    /// A header of the response, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.answer.headers().get(name)?.to_str().ok()
    }

    /// Its body, as it is.
    pub(crate) fn bytes(self) -> Bytes {
        self.answer.into_body()
    }

    /// The body as text.
    pub(crate) fn text(self) -> Result<String, ExitError> {
        let Self { url, answer } = self;
        String::from_utf8(answer.into_body().into())
            .map_err(|error| unexpected_answer(&url, &error))
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T, ExitError> {
        parse(&self.url, self.answer.body()).map_err(|error| self.action_error().unwrap_or(error))
    }

    /// The error if the response came from an action instead of a control API.
    fn action_error(&self) -> Option<ExitError> {
        let (url, host) = (&self.url, self.header("soloist-host")?);
        let error = format!("{url} is an address of the actions that host {host} runs");
        Some(ExitError::unavailable(error).help(
            "ask its control API, which listens on `host.listen`, at the default port 4000: \
             --url http://HOST:4000",
        ))
    }

    /// The response if it is a success, or else the error that it describes.
    pub(super) fn into_success(self) -> Result<Self, ExitError> {
        if self.answer.status().is_success() { Ok(self) } else { Err(self.refusal()?) }
    }

    /// The error that the response describes.
    pub(super) fn refusal(self) -> Result<ExitError, ExitError> {
        Ok(refusal(self.answer.status(), self.json()?))
    }
}
