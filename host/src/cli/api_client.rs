//! The client for the control API of hosts.

use std::{env::VarError, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};

use super::{ExitError, terminal::say};
use crate::{
    api::{ErrorBody, Status},
    cluster::{LineStream, PeerClient, PeerCredentials, PeerError},
};
use soloist_config::{Secret, TlsFiles, small_file};
use soloist_text::with_causes;

/// How long a host may take to report its status.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a host may take if its store has to answer first: longer than a store request takes
/// to fail.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(30);
/// The greatest response, in bytes; the output of a task may be long.
const LARGEST: usize = 1 << 30;
/// The environment variable that holds the token itself.
const TOKEN: &str = "SOLOIST_TOKEN";

/// Which host is asked, and what it is shown.
#[derive(Clone, Debug, Args)]
pub(super) struct HostArgs {
    /// The control API of any host
    #[arg(long, env = "SOLOIST_URL", default_value = "http://127.0.0.1:4000", global = true)]
    pub(super) url: String,
    /// The file that holds the token to show; or SOLOIST_TOKEN is the token
    #[arg(
        long,
        env = "SOLOIST_TOKEN_FILE",
        value_name = "FILE",
        hide_env_values = true,
        global = true
    )]
    token_file: Option<PathBuf>,
    /// The certificates (PEM) of who has signed that of the host [default: those that browsers trust]
    #[arg(long, env = "SOLOIST_CA", value_name = "FILE", hide_env_values = true, global = true)]
    ca: Option<PathBuf>,
    /// The certificate (PEM) to show
    #[arg(long, env = "SOLOIST_CERT", value_name = "FILE", hide_env_values = true, global = true)]
    cert: Option<PathBuf>,
    /// Its private key (PEM)
    // `key` is a key of the state, for the commands that take one.
    #[arg(
        id = "key_file",
        long = "key",
        env = "SOLOIST_KEY",
        value_name = "FILE",
        hide_env_values = true,
        global = true
    )]
    key: Option<PathBuf>,
}

impl HostArgs {
    /// The client for this host.
    pub(super) fn client(&self) -> Result<ApiClient, ExitError> {
        let own = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                Some(Arc::new(TlsFiles { cert: cert.clone(), key: key.clone() }))
            }
            (None, None) => None,
            _ => {
                return Err(ExitError::usage("a certificate and its key go together")
                    .help("give both --cert FILE and --key FILE, or neither"));
            }
        };
        let passport =
            PeerCredentials { ca: self.ca.clone(), certificate: own, token: self.token()? };
        ApiClient::new(&self.url, &passport)
    }

    fn token(&self) -> Result<Option<Secret>, ExitError> {
        let Some(file) = &self.token_file else {
            return match std::env::var(TOKEN) {
                Ok(token) => self::token(&token, TOKEN).map(Some),
                Err(VarError::NotPresent) => Ok(None),
                Err(VarError::NotUnicode(_)) => Err(invalid_token(TOKEN)),
            };
        };
        let text = small_file::read_named(file).map_err(|error| {
            ExitError::usage(format!("cannot read the token in {}", file.display()))
                .caused_by(&error)
                .help("name a file that this user can read, with a token as `soloist token new` prints it")
        })?;
        token(&text, &file.display().to_string()).map(Some)
    }
}

/// Checks the token in `text`, which comes from `place`.
fn token(text: &str, place: &str) -> Result<Secret, ExitError> {
    let token = text.trim();
    let is_one = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_one { Ok(Secret::new(token)) } else { Err(invalid_token(place)) }
}

/// The content may still be a secret, so it is not repeated.
fn invalid_token(place: &str) -> ExitError {
    ExitError::usage(format!("there is no token in {place}"))
        .help("put one there as `soloist token new` prints it, and nothing else")
}

/// A client for one host.
#[derive(Clone)]
pub(super) struct ApiClient {
    url: Arc<str>,
    peers: PeerClient,
}

impl ApiClient {
    /// The client for the host at `url`. No proxy is used: hosts are near.
    pub(super) fn new(url: &str, passport: &PeerCredentials) -> Result<Self, ExitError> {
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
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The underlying client, for requests over connections of their own.
    pub(super) const fn peers(&self) -> &PeerClient {
        &self.peers
    }

    /// The headers with the credentials, for requests over such connections.
    pub(super) fn credential_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.peers.add_credential(&mut headers);
        headers
    }

    /// A request to the path made of `steps`, each of which is percent-encoded.
    pub(super) fn request(&self, method: Method, steps: &[&str]) -> ApiRequest<'_> {
        let step = |step: &&str| format!("/{}", utf8_percent_encode(step, NON_ALPHANUMERIC));
        let path = steps.iter().map(step).collect();
        let (query, headers) = (String::new(), HeaderMap::new());
        ApiRequest { client: self, method, path, query, headers, body: Bytes::new() }
    }

    /// Asks for the health of the host at the path `probe`; prints the answer if it is healthy.
    pub(super) async fn check_probe(&self, probe: &str) -> Result<(), ExitError> {
        let answer = self.request(Method::GET, &[probe]).send_raw(PATIENCE).await?;
        let (url, code, word) = (&self.url, answer.answer.status(), answer.text()?);
        if code.is_success() {
            say(&word);
            return Ok(());
        }
        // A host that is starting answers with an error body, as everywhere else.
        let word = serde_json::from_str(&word).map_or(word, |ErrorBody { error, .. }| error);
        let refusal = ExitError::unavailable(format!("{url} is not ready: {}", word.trim_end()));
        Err(refusal.help("`soloist status` shows its store and its groups; its log says more"))
    }

    /// The status of the host and its cluster.
    pub(super) async fn status(&self) -> Result<Status, ExitError> {
        self.ask_status().await?.json()
    }

    /// The status as the JSON text that was received.
    pub(super) async fn status_text(&self) -> Result<String, ExitError> {
        self.ask_status().await?.text()
    }

    async fn ask_status(&self) -> Result<ApiResponse, ExitError> {
        self.request(Method::GET, &["v1", "status"]).send(PATIENCE).await
    }
}

/// The help when the response to a command was lost.
const IN_DOUBT: &str = "it may have been done all the same: look before you ask again \
                        (`soloist status`, or what shows what was to change)";

/// A request to a host.
pub(super) struct ApiRequest<'a> {
    client: &'a ApiClient,
    method: Method,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

impl ApiRequest<'_> {
    /// Adds a query parameter.
    pub(super) fn option(mut self, name: &str, value: &str) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query += &format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        self
    }

    /// Sets the body, and its content type if that is known.
    pub(super) fn body(
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
    pub(super) fn json_body(self, order: &impl Serialize) -> Result<Self, ExitError> {
        let json = serde_json::to_vec(order);
        let json = json.map_err(|error| ExitError::internal("cannot write JSON", &error))?;
        self.body(json, Some("application/json"))
    }

    /// Sends the request. The error says why the host refused, or that it did not answer within
    /// this time.
    pub(super) async fn send(self, within: Duration) -> Result<ApiResponse, ExitError> {
        self.send_raw(within).await?.into_success()
    }

    /// Sends the request, and returns the response line by line as it arrives. The stream may
    /// pause for up to `quiet`.
    pub(super) async fn stream(self, quiet: Duration) -> Result<LineStream, ExitError> {
        let (url, peers) = (Arc::clone(&self.client.url), self.client.peers.clone());
        let begun = peers.start_lines(self.build()?, quiet).await;
        match begun.map_err(|error| no_answer(&url, &error))? {
            Ok(reading) => Ok(reading),
            Err(answer) => Err(ApiResponse { url, answer }.refusal()?),
        }
    }

    /// Sends the request, and returns the response whatever its status.
    async fn send_raw(self, within: Duration) -> Result<ApiResponse, ExitError> {
        let (url, peers) = (Arc::clone(&self.client.url), self.client.peers.clone());
        let changes = self.method != Method::GET;
        let answer = peers.ask(self.build()?, Some(within), LARGEST).await;
        let answer = answer.map_err(|error| match no_answer(&url, &error) {
            exit if changes && error.may_have_arrived() => exit.help(IN_DOUBT),
            exit => exit,
        })?;
        Ok(ApiResponse { url, answer })
    }

    fn build(self) -> Result<Request<Bytes>, ExitError> {
        let uri = format!("{}{}{}", self.client.url, self.path, self.query);
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() =
            uri.parse().map_err(|error| ExitError::internal("cannot make an address", &error))?;
        *request.headers_mut() = self.headers;
        Ok(request)
    }
}

/// The response of a host.
pub(super) struct ApiResponse {
    url: Arc<str>,
    answer: Response<Bytes>,
}

impl ApiResponse {
    /// A header of the response, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.answer.headers().get(name)?.to_str().ok()
    }

    /// Its body, as it is.
    pub(super) fn bytes(self) -> Bytes {
        self.answer.into_body()
    }

    /// The body as text.
    pub(super) fn text(self) -> Result<String, ExitError> {
        let Self { url, answer } = self;
        String::from_utf8(answer.into_body().into())
            .map_err(|error| unexpected_answer(&url, &error))
    }

    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(self) -> Result<T, ExitError> {
        parse(&self.url, self.answer.body()).map_err(|error| self.from_action().unwrap_or(error))
    }

    /// The error if the response came from an action instead of a control API.
    fn from_action(&self) -> Option<ExitError> {
        let (url, host) = (&self.url, self.header("soloist-host")?);
        let error = format!("at {url} answer the actions that host {host} performs");
        Some(ExitError::unavailable(error).help(
            "ask its control API, which listens on `host.listen`, at the default port 4000: \
             --url http://HOST:4000",
        ))
    }

    /// The response if it is a success, or else the error that it describes.
    fn into_success(self) -> Result<Self, ExitError> {
        if self.answer.status().is_success() { Ok(self) } else { Err(self.refusal()?) }
    }

    /// The error that the response describes.
    fn refusal(self) -> Result<ExitError, ExitError> {
        Ok(refusal(self.answer.status(), self.json()?))
    }
}

/// Parses `text`, a response of the host at `url`.
pub(super) fn parse<T: DeserializeOwned>(url: &str, text: &[u8]) -> Result<T, ExitError> {
    serde_json::from_slice(text).map_err(|error| unexpected_answer(url, &error))
}

fn refusal(code: StatusCode, ErrorBody { error, help }: ErrorBody) -> ExitError {
    let exit = match code {
        StatusCode::NOT_FOUND => ExitError::missing,
        StatusCode::BAD_REQUEST
        | StatusCode::MISDIRECTED_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => ExitError::usage,
        StatusCode::CONFLICT | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ExitError::refused
        }
        StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::REQUEST_TIMEOUT
        | StatusCode::GATEWAY_TIMEOUT => ExitError::unavailable,
        _ => ExitError::failed,
    };
    exit(error).help(help)
}

/// The error for a response that no host would give.
fn unexpected_answer(url: &str, error: &dyn std::error::Error) -> ExitError {
    ExitError::unavailable(format!("{url} does not answer as a soloist host does"))
        .caused_by(error)
        .help("does another server listen there, or another version of soloist?")
}

/// The error for a host that does not answer.
fn no_answer(url: &str, error: &PeerError) -> ExitError {
    let exit = ExitError::unavailable(format!("no answer from {url}")).caused_by(error);
    if with_causes(error).contains(soloist_tls::OF_AUTHORITY) {
        return exit.help(
            "what it shows is the certificate of an authority (CA), as `openssl req -x509` makes \
             them: give the host one by `cert` that this authority has signed",
        );
    }
    if with_causes(error).contains("certificate") {
        return exit.help(
            "--ca FILE names who has signed its certificate, --cert and --key FILE what to show",
        );
    }
    // The messages of rustls and hyper when one side speaks TLS and the other does not.
    let said = with_causes(error);
    if said.contains("InvalidContentType") {
        return exit.help("it speaks no TLS there: write --url http://HOST:PORT");
    }
    if said.contains("invalid HTTP version") {
        return exit.help("it may speak TLS there: write --url https://HOST:PORT");
    }
    exit.help("is soloist running there? Another host: --url http://HOST:PORT, or SOLOIST_URL")
}
