//! A client for the control API of a host, or of the first of several that answers.

use std::{sync::Arc, time::Duration};

#[cfg(feature = "bench")]
use http::HeaderMap;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{host_list::HostList, request::ApiRequest, response::ApiResponse};
use crate::{
    api::{ProblemDetails, Status},
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

/// A client for the control API of a host, or of the first of several that answers.
#[derive(Clone)]
pub(crate) struct ApiClient {
    hosts: Arc<HostList>,
    peers: PeerClient,
}

impl ApiClient {
    /// The client for the hosts at `urls`. No proxy is used: hosts are near.
    pub(crate) fn new<'a>(
        urls: impl IntoIterator<Item = &'a str>,
        passport: &PeerCredentials,
    ) -> Result<Self, ExitError> {
        let hosts = Arc::new(HostList::new(urls)?);
        let peers = PeerClient::new(passport)
            .map_err(|error| ExitError::usage(&error).with_causes_of(&error))?;
        Ok(Self { hosts, peers })
    }

    /// The URL of the host that answered last, or of the first one.
    pub(crate) fn url(&self) -> &str {
        self.hosts.current()
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
        ApiRequest::new(&self.hosts, &self.peers, method, path)
    }

    /// Asks for the health of the host at the path `probe`; prints the answer if it is healthy.
    pub(crate) async fn check_probe(&self, probe: &str) -> Result<(), ExitError> {
        let answer = self.request(Method::GET, &[probe]).send_raw(PATIENCE).await?;
        let (url, code) = (answer.url().to_owned(), answer.status());
        let word = answer.text()?;
        if code.is_success() {
            say(&word);
            return Ok(());
        }
        // A host that is starting answers with an error body, as everywhere else.
        let word = serde_json::from_str(&word).map_or(word, |ProblemDetails { detail, .. }| detail);
        let refusal = ExitError::failed(format!("{url} is not ready: {}", word.trim_end()));
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
