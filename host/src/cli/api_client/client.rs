//! A client for one host.

use std::{sync::Arc, time::Duration};

#[cfg(feature = "bench")]
use http::HeaderMap;
use http::{Method, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{request::ApiRequest, response::ApiResponse};
use crate::{
    api::{Problem, Status},
    cli::{ExitError, terminal::say},
    cluster::{PeerClient, PeerCredentials},
};

/// What is encoded in a step of a path. A hyphen is not: the routes of a host have some, and are
/// compared before they are decoded. A dot is: clients take `.` and `..` out of a path.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// How long a host may take to report its status.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a host may take if its store has to answer first: longer than a store request takes
/// to fail.
pub(crate) const STORE_PATIENCE: Duration = Duration::from_secs(30);

/// A client for one host.
#[derive(Clone)]
pub(crate) struct ApiClient {
    url: Arc<str>,
    peers: PeerClient,
}

impl ApiClient {
    /// The client for the host at `url`. No proxy is used: hosts are near.
    pub(crate) fn new(url: &str, passport: &PeerCredentials) -> Result<Self, ExitError> {
        let url = url.trim_end_matches('/');
        let is_base = |uri: &Uri| {
            let spoken = matches!(uri.scheme_str(), Some("http" | "https"));
            spoken && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none()
        };
        if !url.parse().is_ok_and(|uri| is_base(&uri)) {
            return Err(ExitError::usage(format!("`{url}` is not a URL"))
                .help("write http://HOST:PORT, as in http://127.0.0.1:4000"));
        }
        let peers = PeerClient::new(passport)
            .map_err(|error| ExitError::usage(&error).with_causes_of(&error))?;
        Ok(Self { url: url.into(), peers })
    }

    /// The URL of the host.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The underlying client, for requests over connections of their own.
    #[cfg(feature = "bench")]
    pub(crate) const fn peers(&self) -> &PeerClient {
        &self.peers
    }

    /// The headers with the credentials, for requests over such connections.
    #[cfg(feature = "bench")]
    pub(crate) fn credential_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.peers.add_credential(&mut headers);
        headers
    }

    /// A request to the path made of `steps`, each of which is percent-encoded.
    pub(crate) fn request(&self, method: Method, steps: &[&str]) -> ApiRequest {
        let step = |step: &&str| format!("/{}", utf8_percent_encode(step, ENCODED));
        let path: String = steps.iter().map(step).collect();
        ApiRequest::new(&self.url, &self.peers, method, path)
    }

    /// Asks for the health of the host at the path `probe`; prints the answer if it is healthy.
    pub(crate) async fn check_probe(&self, probe: &str) -> Result<(), ExitError> {
        let answer = self.request(Method::GET, &[probe]).send_raw(PATIENCE).await?;
        let (url, code, word) = (&self.url, answer.status(), answer.text()?);
        if code.is_success() {
            say(&word);
            return Ok(());
        }
        // A host that is starting answers with an error body, as everywhere else.
        let word = serde_json::from_str(&word).map_or(word, |Problem { detail, .. }| detail);
        let refusal = ExitError::unavailable(format!("{url} is not ready: {}", word.trim_end()));
        Err(refusal.help("`soloist status` shows its store and its groups; its log says more"))
    }

    /// The status of the host and its cluster.
    pub(crate) async fn status(&self) -> Result<Status, ExitError> {
        self.ask_status().await?.json()
    }

    /// The status as the JSON text that was received.
    pub(crate) async fn status_text(&self) -> Result<String, ExitError> {
        self.ask_status().await?.text()
    }

    async fn ask_status(&self) -> Result<ApiResponse, ExitError> {
        self.request(Method::GET, &["v1", "status"]).send(PATIENCE).await
    }
}
