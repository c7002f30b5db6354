//! The requests that hosts send to each other's control APIs.

use std::{collections::BTreeMap, time::Duration};

use ::http::{Method, Request, Response, Uri, header};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::{
    ANSWER_MAX, PeerAddress, PeerClient, PeerError, is_unauthorized, passing_headers::put_header,
};
use crate::cluster::commands::{CommandAnswer, CommandError, CommandErrorKind, SwitchoverOrder};
use soloist_heart::{LeaderKey, clock::ClockReport};

/// How long another host may take to respond to a question about its status or clock.
const QUESTION: Duration = Duration::from_secs(1);
/// The longest response about a clock, in bytes.
const CLOCK_MAX: usize = 1 << 10;

/// What a host's status says of a group, as far as it is read here.
#[derive(Deserialize)]
pub(in crate::cluster) struct GroupStatus {
    /// What keeps that host from standing for election.
    pub(in crate::cluster) obstacle: Option<String>,
    /// The hosts that stand by, as that host sees them.
    pub(in crate::cluster) standbys: Vec<String>,
}

/// The terms that a host says it leads.
#[derive(Debug, Default)]
pub(crate) struct OwnTerms {
    /// The fencing token of its term, by group.
    fencing_tokens: BTreeMap<String, i64>,
    /// What its calls to the store fail by.
    pub(crate) store_error: Option<String>,
}

impl OwnTerms {
    /// Whether the term under `key` is one of them.
    pub(crate) fn include(&self, key: &LeaderKey) -> bool {
        self.fencing_tokens.get(key.group.as_str()) == Some(&key.fencing_token.0)
    }

    /// Reads them from the status of that host.
    fn of(status: &Value) -> Self {
        let groups = status["groups"].as_object().into_iter().flatten();
        let led = groups.filter(|(_, group)| group["role"] == "leader");
        let tokens =
            led.filter_map(|(name, group)| Some((name.clone(), group["fencing_token"].as_i64()?)));
        let store_error = status["store"]["last_error"].as_str().map(ToOwned::to_owned);
        Self { fencing_tokens: tokens.collect(), store_error }
    }
}

impl PeerClient {
    /// Forwards the command for a switchover from `host` to another one.
    pub(in crate::cluster) async fn switchover(
        &self,
        to: PeerAddress<'_>,
        host: &str,
        order: &SwitchoverOrder,
        within: Duration,
    ) -> Result<Result<CommandAnswer, CommandError>, PeerError> {
        let body = serde_json::to_vec(order).map_err(PeerError::Malformed)?;
        let mut request = request(Method::POST, to.url, "/v1/switchover", body.into())?;
        to.write(&mut request, host);
        put_header(&mut request, header::CONTENT_TYPE.as_str(), "application/json");
        let answer = self.send_as_host(request, Some(within)).await?;
        if answer.status().is_success() {
            return serde_json::from_slice(answer.body()).map(Ok).map_err(PeerError::Malformed);
        }
        let kind = CommandErrorKind::of_code(answer.status().as_u16());
        let reason: Value = serde_json::from_slice(answer.body()).map_err(PeerError::Malformed)?;
        let text = |key: &str| reason[key].as_str().unwrap_or_default().to_owned();
        Ok(Err(CommandError { kind, error: text("detail"), help: text("help") }))
    }

    /// What the status of another host says of `group`, asked by `host`; none if it does not
    /// answer.
    pub(in crate::cluster) async fn group_status(
        &self,
        of: PeerAddress<'_>,
        host: &str,
        group: &str,
    ) -> Option<GroupStatus> {
        let mut status = self.status(of, host).await?;
        serde_json::from_value(status["groups"][group].take()).ok()
    }

    /// The terms that another host says it leads, asked by `host`; none if it does not answer.
    pub(crate) async fn own_terms(&self, of: PeerAddress<'_>, host: &str) -> Option<OwnTerms> {
        self.status(of, host).await.as_ref().map(OwnTerms::of)
    }

    async fn status(&self, of: PeerAddress<'_>, host: &str) -> Option<Value> {
        let mut request = request(Method::GET, of.url, "/v1/status", Bytes::new()).ok()?;
        of.write(&mut request, host);
        let answer = self.ask(request, Some(QUESTION), ANSWER_MAX).await.ok()?;
        serde_json::from_slice(answer.body()).ok()
    }

    /// What the clock of another host shows, asked by `host`; none if it does not answer.
    pub(in crate::cluster) async fn clock(
        &self,
        of: PeerAddress<'_>,
        host: &str,
    ) -> Option<DateTime<Utc>> {
        let mut request = request(Method::GET, of.url, "/v1/clock", Bytes::new()).ok()?;
        of.write(&mut request, host);
        let answer = self.ask(request, Some(QUESTION), CLOCK_MAX).await.ok()?;
        let face: ClockReport = serde_json::from_slice(answer.body()).ok()?;
        Some(face.shows)
    }

    /// Forwards a POST without a body from `host` to another one, and returns the status and the
    /// body of its response. Without `within`, it waits for as long as that takes.
    ///
    /// # Errors
    /// The host does not answer, or does not authorize this one.
    pub async fn forward_post(
        &self,
        to: PeerAddress<'_>,
        path: &str,
        host: &str,
        within: Option<Duration>,
    ) -> Result<(u16, Bytes), PeerError> {
        let mut request = request(Method::POST, to.url, path, Bytes::new())?;
        to.write(&mut request, host);
        let answer = self.send_as_host(request, within).await?;
        Ok((answer.status().as_u16(), answer.into_body()))
    }

    /// Sends a request by this host's own authority: the other host does not know the person behind
    /// it. A refusal is one of this host, and so an error.
    async fn send_as_host(
        &self,
        request: Request<Bytes>,
        within: Option<Duration>,
    ) -> Result<Response<Bytes>, PeerError> {
        let answer = self.ask(request, within, ANSWER_MAX).await?;
        if is_unauthorized(answer.status()) { Err(PeerError::Unauthorized) } else { Ok(answer) }
    }
}

pub(super) fn request(
    method: Method,
    url: &str,
    path: &str,
    body: Bytes,
) -> Result<Request<Bytes>, PeerError> {
    let uri: Uri = format!("{url}{path}").parse().map_err(|_| PeerError::BadUrl(url.to_owned()))?;
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    Ok(request)
}
