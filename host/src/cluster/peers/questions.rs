//! What hosts ask each other.

use std::time::Duration;

use ::http::{Method, Request, Response, Uri, header};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::{ANSWER_MAX, AskError, Peers, is_stranger};
use crate::cluster::commands::{CommandError, Done, Obstacle, ResignOrder};
use soloist_heart::clock::ClockFace;

/// Names the host that passes a request on; whoever gets one does not pass it on again.
pub const PASSED_ON: &str = "soloist-passed-on";

/// How long another host may take to say how it is.
const QUESTION: Duration = Duration::from_secs(1);
/// The most that one may say of its clock, in bytes.
const CLOCK_MAX: usize = 1 << 10;

/// A host's part in a group.
#[derive(Deserialize)]
pub(in crate::cluster) struct Part {
    /// What keeps it from standing for election.
    pub(in crate::cluster) obstacle: Option<String>,
    /// Who stands by, as it sees it.
    pub(in crate::cluster) standbys: Vec<String>,
}

impl Peers {
    /// Has the host at `url` hand over.
    pub(in crate::cluster) async fn resign(
        &self,
        url: &str,
        host: &str,
        order: &ResignOrder,
        within: Duration,
    ) -> Result<Result<Done, CommandError>, AskError> {
        let body = serde_json::to_vec(order).map_err(AskError::Odd)?;
        let mut request = request(Method::POST, url, "/v1/resign", body.into())?;
        put(&mut request, PASSED_ON, host);
        put(&mut request, header::CONTENT_TYPE.as_str(), "application/json");
        let answer = self.ask_as_host(request, Some(within)).await?;
        if answer.status().is_success() {
            return serde_json::from_slice(answer.body()).map(Ok).map_err(AskError::Odd);
        }
        let kind = Obstacle::of_code(answer.status().as_u16());
        let reason: Value = serde_json::from_slice(answer.body()).map_err(AskError::Odd)?;
        let text = |key: &str| reason[key].as_str().unwrap_or_default().to_owned();
        Ok(Err(CommandError { kind, error: text("error"), help: text("help") }))
    }

    /// What the host at `url` says of `group`, if it says anything.
    pub(in crate::cluster) async fn part(&self, url: &str, group: &str) -> Option<Part> {
        let request = request(Method::GET, url, "/v1/status", Bytes::new()).ok()?;
        let answer = self.ask(request, Some(QUESTION), ANSWER_MAX).await.ok()?;
        let mut status: Value = serde_json::from_slice(answer.body()).ok()?;
        serde_json::from_value(status["groups"][group].take()).ok()
    }

    /// What the clock of the host at `url` shows, if it says so.
    pub(in crate::cluster) async fn clock(&self, url: &str) -> Option<DateTime<Utc>> {
        let request = request(Method::GET, url, "/v1/clock", Bytes::new()).ok()?;
        let answer = self.ask(request, Some(QUESTION), CLOCK_MAX).await.ok()?;
        let face: ClockFace = serde_json::from_slice(answer.body()).ok()?;
        Some(face.shows)
    }

    /// Passes a POST without a body on to the host at `url`, and returns the code and the text
    /// of its answer; without a limit, whenever that comes.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn pass_on(
        &self,
        url: &str,
        path: &str,
        host: &str,
        within: Option<Duration>,
    ) -> Result<(u16, Bytes), AskError> {
        let mut request = request(Method::POST, url, path, Bytes::new())?;
        put(&mut request, PASSED_ON, host);
        let answer = self.ask_as_host(request, within).await?;
        Ok((answer.status().as_u16(), answer.into_body()))
    }

    /// Asks another host on behalf of a person, whom that one does not know.
    async fn ask_as_host(
        &self,
        request: Request<Bytes>,
        within: Option<Duration>,
    ) -> Result<Response<Bytes>, AskError> {
        let answer = self.ask(request, within, ANSWER_MAX).await?;
        if is_stranger(answer.status()) { Err(AskError::Stranger) } else { Ok(answer) }
    }
}

pub(super) fn request(
    method: Method,
    url: &str,
    path: &str,
    body: Bytes,
) -> Result<Request<Bytes>, AskError> {
    let uri: Uri = format!("{url}{path}").parse().map_err(|_| AskError::Url(url.to_owned()))?;
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    Ok(request)
}

/// What no header can say is left out.
pub(super) fn put(request: &mut Request<Bytes>, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        request.headers_mut().insert(name, value);
    }
}
