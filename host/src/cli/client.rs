//! Asking hosts, by their control API.

use std::time::Duration;

use reqwest::{Response, StatusCode};

use super::{ExitError, terminal::say};
use crate::api::{Reason, Status};

/// How long a host may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks hosts.
pub(super) struct Client(reqwest::Client);

impl Client {
    /// A client without a proxy: hosts are near.
    pub(super) fn new() -> Result<Self, ExitError> {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
        Ok(Self(client.map_err(|error| ExitError::internal("cannot set up HTTP", &error))?))
    }

    /// The connections, for whatever else a host is asked.
    pub(super) const fn http(&self) -> &reqwest::Client {
        &self.0
    }

    /// Whether the host at `url` is well, by its `probe`; its own word is printed if it is.
    pub(super) async fn well(&self, url: &str, probe: &str) -> Result<(), ExitError> {
        let path = format!("{}/{probe}", url.trim_end_matches('/'));
        let answer = async {
            let answer = self.0.get(&path).send().await?;
            Ok((answer.status(), answer.text().await?))
        };
        let (code, word) = answer.await.map_err(|error| refusal(url, error))?;
        if code.is_success() {
            say(&word);
            return Ok(());
        }
        let refusal = ExitError::unavailable(format!("{url} is not ready: {}", word.trim_end()));
        Err(refusal.help("`soloist status` shows its store and its groups; its log says more"))
    }

    /// What the host at `url` says.
    pub(super) async fn status(&self, url: &str) -> Result<Status, ExitError> {
        read(&self.ask(url).await?)
    }

    /// The same, as it came.
    pub(super) async fn ask(&self, url: &str) -> Result<String, ExitError> {
        let path = format!("{}/v1/status", url.trim_end_matches('/'));
        let answer = async {
            let answer = self.0.get(&path).send().await?.error_for_status()?;
            answer.text().await
        };
        answer.await.map_err(|error| refusal(url, error))
    }
}

/// What an answer says.
pub(super) fn read(answer: &str) -> Result<Status, ExitError> {
    serde_json::from_str(answer).map_err(|error| {
        ExitError::unavailable("the answer is not the status of a soloist host")
            .caused_by(&error)
            .help("does another server listen there, or another version of soloist?")
    })
}

/// The answer, or why the host did not do what it was asked.
pub(super) async fn done(url: &str, answer: Response) -> Result<Response, ExitError> {
    let code = answer.status();
    if code.is_success() {
        return Ok(answer);
    }
    let Reason { error, help } = answer.json().await.map_err(|error| odd(url, &error))?;
    let exit = match code {
        StatusCode::NOT_FOUND => ExitError::missing,
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => ExitError::usage,
        StatusCode::CONFLICT => ExitError::refused,
        StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::GATEWAY_TIMEOUT => ExitError::unavailable,
        _ => ExitError::failed,
    };
    Err(exit(error).help(help))
}

/// What is said of an answer that no host gives.
pub(super) fn odd(url: &str, error: &reqwest::Error) -> ExitError {
    ExitError::unavailable(format!("{url} does not answer as a soloist host does"))
        .caused_by(error)
        .help("does another server listen there, or another version of soloist?")
}

/// What is said of a text that is no address.
pub(super) fn no_url(url: &str) -> ExitError {
    ExitError::usage(format!("`{url}` is not a URL"))
        .help("write http://HOST:PORT, as in http://127.0.0.1:4000")
}

/// What is said of a host that does not answer.
pub(super) fn refusal(url: &str, error: reqwest::Error) -> ExitError {
    if error.is_builder() {
        return no_url(url);
    }
    ExitError::unavailable(format!("no answer from {url}"))
        .caused_by(&error.without_url())
        .help("is soloist running there? Another host: --url http://HOST:PORT, or SOLOIST_URL")
}
