//! The HTTP client of other hosts' control APIs.
//!
//! All connections from host to host are made with a [`PeerClient`], so all of them show the same
//! credential and trust the same certificate authorities.

mod line_stream;
mod misdirected;
mod passing_headers;
mod peer_address;
mod requests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

use self::misdirected::SentTo;
pub(crate) use self::misdirected::{MISDIRECTED, REACHED, meant_for_another, reached};
pub use self::{
    line_stream::LineStream, misdirected::MisdirectedRequest, passing_headers::PASSED_ON,
    peer_address::PeerAddress,
};
pub(crate) use self::{passing_headers::PASSED_TO, requests::OwnTerms};
use soloist_config::{HostConfig, Secret, TlsFiles};
use soloist_tls::{ClientTls, HttpProtocol, MaybeTlsConnector, TlsError};

/// The header with this host's credential. A header of its own, since `authorization` may be meant
/// for the plugin at the other end.
pub const CREDENTIAL: HeaderName = HeaderName::from_static("soloist-authorization");

/// The text of the error when another host does not authorize this one.
pub(crate) const UNAUTHORIZED: &str = "it does not authorize this host: give all hosts the same \
                                   `peer_token` in [api], or certificates of one `client_ca`, and \
                                   write the names by which they are called into `names` in [host]";

/// Whether another host does not authorize this one, by the status of its response.
pub(crate) fn is_unauthorized(code: StatusCode) -> bool {
    use StatusCode as Code;
    matches!(code, Code::UNAUTHORIZED | Code::FORBIDDEN | Code::MISDIRECTED_REQUEST)
}

/// The longest response that hosts give each other, in bytes: a status, or the result of a command.
pub(crate) const ANSWER_MAX: usize = 8 << 20;
/// How long connecting to another host may take.
const CONNECT: Duration = Duration::from_secs(2);

/// How this host identifies itself to other hosts, and which certificates it accepts from them.
#[derive(Clone, Debug, Default)]
pub struct PeerCredentials {
    /// The authorities that sign the certificates of hosts; by default those that browsers trust.
    pub ca: Option<PathBuf>,
    /// The client certificate that is presented.
    pub certificate: Option<Arc<TlsFiles>>,
    /// The bearer token that is sent.
    pub token: Option<Secret>,
}

impl PeerCredentials {
    /// The credentials in the settings of a host.
    #[must_use]
    pub fn of(host: &HostConfig) -> Self {
        let tls = host.tls.as_ref();
        // Without `client_ca` nobody asks for a client certificate, and the one that is there may
        // be valid for servers only.
        let certificate =
            tls.filter(|tls| tls.client_ca.is_some()).map(|tls| Arc::clone(&tls.files));
        Self {
            ca: tls.and_then(|tls| tls.ca.clone()),
            certificate,
            token: host.api.peer_token.clone(),
        }
    }
}

/// Sends requests to the control APIs of other hosts. Clones share everything.
#[derive(Clone)]
pub struct PeerClient {
    trust: ClientTls,
    credential: Option<HeaderValue>,
    client: Client<MaybeTlsConnector, Full<Bytes>>,
}

/// Why a request to another host failed.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The URL is not one of a host.
    #[error("{0} is not the URL of a host")]
    BadUrl(String),
    /// The host does not answer, or the connection broke off before the response.
    #[error(transparent)]
    Request(legacy::Error),
    /// The connection broke off during the response.
    #[error("the answer broke off")]
    BodyBroken(#[source] hyper::Error),
    /// The response is longer than this limit, in bytes.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// The host does not authorize this one, or is not called by this name.
    #[error("{UNAUTHORIZED}")]
    Unauthorized,
    /// Another host received the request than the one that it was meant for.
    #[error("{0}")]
    Misdirected(MisdirectedRequest),
    /// The response took longer than this.
    #[error("there was no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// The host responded with an error.
    #[error("it answers with {0}")]
    Refused(StatusCode),
    /// The response is not JSON of a host.
    #[error("the answer is not that of a soloist host")]
    Malformed(#[source] serde_json::Error),
}

impl PeerError {
    /// Whether the request may have been carried out in spite of the error.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Request(error) => !error.is_connect(),
            Self::BodyBroken(_) | Self::TooLong(_) | Self::Timeout(_) => true,
            Self::BadUrl(_)
            | Self::Unauthorized
            | Self::Misdirected(_)
            | Self::Refused(_)
            | Self::Malformed(_) => false,
        }
    }
}

impl PeerClient {
    /// A client that identifies itself by `credentials`.
    ///
    /// # Errors
    /// One of the certificate files cannot be used.
    pub fn new(credentials: &PeerCredentials) -> Result<Self, TlsError> {
        let trust = ClientTls::new(credentials.ca.clone(), credentials.certificate.clone())?;
        let credential = credentials.token.as_ref().and_then(bearer);
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        // No connection is kept after its response.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(trust.connector(http, HttpProtocol::Http1));
        Ok(Self { trust, credential, client })
    }

    /// Makes connections to hosts: by TLS, or by `http` alone where the URL says so.
    pub(crate) fn connector(
        &self,
        http: HttpConnector,
        protocol: HttpProtocol,
    ) -> MaybeTlsConnector {
        self.trust.connector(http, protocol)
    }

    /// Adds this host's credential to the headers of a request.
    pub(crate) fn add_credential(&self, headers: &mut HeaderMap) {
        if let Some(credential) = &self.credential {
            headers.insert(CREDENTIAL, credential.clone());
        }
    }

    /// Sends a request, and returns when the head of the response has arrived.
    pub(crate) async fn open(
        &self,
        mut request: Request<Bytes>,
    ) -> Result<Response<Incoming>, PeerError> {
        self.add_credential(request.headers_mut());
        let host = |uri: &Uri| uri.host().is_some() && uri.scheme().is_some();
        if !host(request.uri()) {
            return Err(PeerError::BadUrl(request.uri().to_string()));
        }
        let sent = SentTo::read(request.uri(), request.headers());
        let answer = self.client.request(request.map(Full::new)).await;
        let answer = answer.map_err(PeerError::Request)?;
        match sent.and_then(|sent| MisdirectedRequest::read(&sent, answer.headers())) {
            Some(misdirected) => Err(PeerError::Misdirected(misdirected)),
            None => Ok(answer),
        }
    }

    /// Sends a request, and returns the whole response, of up to `limit` bytes. Without `within`,
    /// it waits for as long as that takes.
    pub(crate) async fn ask(
        &self,
        request: Request<Bytes>,
        within: Option<Duration>,
        limit: usize,
    ) -> Result<Response<Bytes>, PeerError> {
        let asked = async {
            let answer = self.open(request).await?;
            read_whole(answer, limit).await
        };
        match within {
            Some(within) => timeout(within, asked).await.map_err(|_| PeerError::Timeout(within))?,
            None => asked.await,
        }
    }
}

/// Reads the whole body of a response, of up to `limit` bytes.
async fn read_whole(
    answer: Response<Incoming>,
    limit: usize,
) -> Result<Response<Bytes>, PeerError> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, limit).collect().await.map_err(|error| {
        error.downcast().map_or(PeerError::TooLong(limit), |broken| PeerError::BodyBroken(*broken))
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// The header for a token, marked as sensitive so that it is not logged.
fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
