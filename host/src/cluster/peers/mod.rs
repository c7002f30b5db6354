//! Asking other hosts, by their control API.
//!
//! Whatever one host asks of another goes out by what is made here, and so shows the same
//! credential and believes the same authorities.

mod questions;
mod reading;

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

pub use self::{questions::PASSED_ON, reading::Reading};
use soloist_config::{HostConfig, Secret, TlsFiles};
use soloist_tls::{Connector, Protocol, TlsError, Trust};

/// Says who asks, beside `authorization`: that may be for the plugin at the other end.
pub const CREDENTIAL: HeaderName = HeaderName::from_static("soloist-authorization");

/// What is said when another host does not let this one in.
pub(crate) const STRANGER: &str = "it does not let this host in: give all hosts the same \
                                   `peer_token` in [api], or certificates of one `client_ca`, and \
                                   write the names by which they are called into `names` in [host]";

/// Whether another host says that it does not let this one in.
pub(crate) fn is_stranger(code: StatusCode) -> bool {
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
pub struct Passport {
    /// The authorities that sign the certificates of hosts; by default those that browsers trust.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown.
    pub own: Option<Arc<TlsFiles>>,
    /// The token that is shown.
    pub token: Option<Secret>,
}

impl Passport {
    /// The one of a host.
    #[must_use]
    pub fn of(host: &HostConfig) -> Self {
        let tls = host.tls.as_ref();
        // Some certificates are for servers alone, and would be refused.
        let own = tls.filter(|tls| tls.client_ca.is_some()).map(|tls| Arc::clone(&tls.files));
        Self { ca: tls.and_then(|tls| tls.ca.clone()), own, token: host.api.peer_token.clone() }
    }
}

/// The way to other hosts. Clones are the same.
#[derive(Clone)]
pub struct Peers {
    trust: Trust,
    credential: Option<HeaderValue>,
    client: Client<Connector, Full<Bytes>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// This is no address of a host.
    #[error("{0} is no URL of a host")]
    Url(String),
    /// It does not answer, or broke off.
    #[error(transparent)]
    Broken(legacy::Error),
    /// Its answer broke off.
    #[error("the answer broke off")]
    BrokeOff(#[source] hyper::Error),
    /// Its answer is longer than any of a host.
    #[error("the answer is longer than {0} bytes")]
    Long(usize),
    /// It does not know this host, or not by this name.
    #[error("{STRANGER}")]
    Stranger,
    /// It took too long.
    #[error("there was no answer within {}", humantime::format_duration(*.0))]
    Late(Duration),
    /// It refuses.
    #[error("it answers with {0}")]
    Refused(StatusCode),
    /// The answer is not what a host says.
    #[error("the answer is not that of a soloist host")]
    Odd(#[source] serde_json::Error),
}

impl AskError {
    /// Whether what was asked may have been done though there is no answer.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        match self {
            Self::Broken(error) => !error.is_connect(),
            Self::BrokeOff(_) | Self::Long(_) | Self::Late(_) => true,
            Self::Url(_) | Self::Stranger | Self::Refused(_) | Self::Odd(_) => false,
        }
    }
}

impl Peers {
    /// The way to hosts by `passport`.
    ///
    /// # Errors
    /// One of its files cannot be used.
    pub fn new(passport: &Passport) -> Result<Self, TlsError> {
        let trust = Trust::new(passport.ca.clone(), passport.own.clone())?;
        let credential = passport.token.as_ref().and_then(bearer);
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT));
        // No connection outlives what was asked by it.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(trust.connector(http, Protocol::Http1));
        Ok(Self { trust, credential, client })
    }

    /// What makes connections to hosts, by `http` where they have no TLS.
    pub(crate) fn connector(&self, http: HttpConnector, protocol: Protocol) -> Connector {
        self.trust.connector(http, protocol)
    }

    /// Says who asks.
    pub(crate) fn vouch(&self, headers: &mut HeaderMap) {
        if let Some(credential) = &self.credential {
            headers.insert(CREDENTIAL, credential.clone());
        }
    }

    /// Asks a host, and returns as soon as it begins to answer.
    pub(crate) async fn open(
        &self,
        mut request: Request<Bytes>,
    ) -> Result<Response<Incoming>, AskError> {
        self.vouch(request.headers_mut());
        let host = |uri: &Uri| uri.host().is_some() && uri.scheme().is_some();
        if !host(request.uri()) {
            return Err(AskError::Url(request.uri().to_string()));
        }
        self.client.request(request.map(Full::new)).await.map_err(AskError::Broken)
    }

    /// Asks a host, and returns its whole answer, of `most` bytes at most; without a limit in
    /// time, whenever that comes.
    pub(crate) async fn ask(
        &self,
        request: Request<Bytes>,
        within: Option<Duration>,
        most: usize,
    ) -> Result<Response<Bytes>, AskError> {
        let asked = async {
            let answer = self.open(request).await?;
            whole(answer, most).await
        };
        match within {
            Some(within) => timeout(within, asked).await.map_err(|_| AskError::Late(within))?,
            None => asked.await,
        }
    }
}

/// The answer with all of its body, of `most` bytes at most.
async fn whole(answer: Response<Incoming>, most: usize) -> Result<Response<Bytes>, AskError> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, most).collect().await.map_err(|error| {
        error.downcast().map_or(AskError::Long(most), |broken| AskError::BrokeOff(*broken))
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// A token as a header, which is shown in no log.
fn bearer(token: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
