//! Asking other hosts, by their control API.
//!
//! Whatever one host asks of another goes out by what is made here, and so shows the same
//! credential and believes the same authorities.

mod line_stream;
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

pub use self::{line_stream::LineStream, requests::PASSED_ON};
use soloist_config::{HostConfig, Secret, TlsFiles};
use soloist_tls::{ClientTls, HttpProtocol, MaybeTlsConnector, TlsError};

/// Says who asks, beside `authorization`: that may be for the plugin at the other end.
pub const CREDENTIAL: HeaderName = HeaderName::from_static("soloist-authorization");

/// What is said when another host does not let this one in.
pub(crate) const STRANGER: &str = "it does not let this host in: give all hosts the same \
                                   `peer_token` in [api], or certificates of one `client_ca`, and \
                                   write the names by which they are called into `names` in [host]";

/// Whether another host says that it does not let this one in.
pub(crate) fn is_unauthorized(code: StatusCode) -> bool {
    use StatusCode as Code;
    matches!(code, Code::UNAUTHORIZED | Code::FORBIDDEN | Code::MISDIRECTED_REQUEST)
}

/// The longest answer that hosts give each other, in bytes: they say how they are, or what came
/// of an order.
pub(crate) const ANSWER_MAX: usize = 8 << 20;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);

/// By which others know who asks, and this one who answers.
#[derive(Clone, Debug, Default)]
pub struct PeerCredentials {
    /// The authorities that sign the certificates of hosts; by default those that browsers trust.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown.
    pub certificate: Option<Arc<TlsFiles>>,
    /// The token that is shown.
    pub token: Option<Secret>,
}

impl PeerCredentials {
    /// The one of a host.
    #[must_use]
    pub fn of(host: &HostConfig) -> Self {
        let tls = host.tls.as_ref();
        // Some certificates are for servers alone, and would be refused.
        let certificate =
            tls.filter(|tls| tls.client_ca.is_some()).map(|tls| Arc::clone(&tls.files));
        Self {
            ca: tls.and_then(|tls| tls.ca.clone()),
            certificate,
            token: host.api.peer_token.clone(),
        }
    }
}

/// The way to other hosts. Clones are the same.
#[derive(Clone)]
pub struct PeerClient {
    trust: ClientTls,
    credential: Option<HeaderValue>,
    client: Client<MaybeTlsConnector, Full<Bytes>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// This is no address of a host.
    #[error("{0} is no URL of a host")]
    BadUrl(String),
    /// It does not answer, or broke off.
    #[error(transparent)]
    Request(legacy::Error),
    /// Its answer broke off.
    #[error("the answer broke off")]
    BodyBroken(#[source] hyper::Error),
    /// Its answer is longer than any of a host.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// It does not know this host, or not by this name.
    #[error("{STRANGER}")]
    Unauthorized,
    /// It took too long.
    #[error("there was no answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// It refuses.
    #[error("it answers with {0}")]
    Refused(StatusCode),
    /// The answer is not what a host says.
    #[error("the answer is not that of a soloist host")]
    Malformed(#[source] serde_json::Error),
}

impl PeerError {
    /// Whether what was asked may have been done though there is no answer.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Request(error) => !error.is_connect(),
            Self::BodyBroken(_) | Self::TooLong(_) | Self::Timeout(_) => true,
            Self::BadUrl(_) | Self::Unauthorized | Self::Refused(_) | Self::Malformed(_) => false,
        }
    }
}

impl PeerClient {
    /// The way to hosts by `passport`.
    ///
    /// # Errors
    /// One of its files cannot be used.
    pub fn new(passport: &PeerCredentials) -> Result<Self, TlsError> {
        let trust = ClientTls::new(passport.ca.clone(), passport.certificate.clone())?;
        let credential = passport.token.as_ref().and_then(bearer);
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        // No connection outlives what was asked by it.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(trust.connector(http, HttpProtocol::Http1));
        Ok(Self { trust, credential, client })
    }

    /// What makes connections to hosts, by `http` where they have no TLS.
    pub(crate) fn connector(
        &self,
        http: HttpConnector,
        protocol: HttpProtocol,
    ) -> MaybeTlsConnector {
        self.trust.connector(http, protocol)
    }

    /// Says who asks.
    pub(crate) fn add_credential(&self, headers: &mut HeaderMap) {
        if let Some(credential) = &self.credential {
            headers.insert(CREDENTIAL, credential.clone());
        }
    }

    /// Asks a host, and returns as soon as it begins to answer.
    pub(crate) async fn open(
        &self,
        mut request: Request<Bytes>,
    ) -> Result<Response<Incoming>, PeerError> {
        self.add_credential(request.headers_mut());
        let host = |uri: &Uri| uri.host().is_some() && uri.scheme().is_some();
        if !host(request.uri()) {
            return Err(PeerError::BadUrl(request.uri().to_string()));
        }
        self.client.request(request.map(Full::new)).await.map_err(PeerError::Request)
    }

    /// Asks a host, and returns its whole answer, of `most` bytes at most; without a limit in
    /// time, whenever that comes.
    pub(crate) async fn ask(
        &self,
        request: Request<Bytes>,
        within: Option<Duration>,
        most: usize,
    ) -> Result<Response<Bytes>, PeerError> {
        let asked = async {
            let answer = self.open(request).await?;
            read_whole(answer, most).await
        };
        match within {
            Some(within) => timeout(within, asked).await.map_err(|_| PeerError::Timeout(within))?,
            None => asked.await,
        }
    }
}

/// The answer with all of its body, of `most` bytes at most.
async fn read_whole(answer: Response<Incoming>, most: usize) -> Result<Response<Bytes>, PeerError> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, most).collect().await.map_err(|error| {
        error.downcast().map_or(PeerError::TooLong(most), |broken| PeerError::BodyBroken(*broken))
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// A token as a header, which is shown in no log.
fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
