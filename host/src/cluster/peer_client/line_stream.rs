//! Responses that another host sends line by line, such as logs that are followed.

use std::time::Duration;

use ::http::{Method, Request, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{
    ANSWER_MAX, PeerAddress, PeerClient, PeerError, is_unauthorized, read_whole, requests::request,
};

/// How long a host may send nothing: it sends empty lines more often than that.
const QUIET: Duration = Duration::from_secs(7);

/// The longest line, in bytes; a longer one ends the stream.
const LINE_MAX: usize = 1 << 20;

/// The lines of a response, as they arrive.
pub struct LineStream {
    body: Incoming,
    unread: Vec<u8>,
    idle_limit: Duration,
}

impl PeerClient {
    /// Requests the lines at `path` of another host, on behalf of this `host`.
    ///
    /// # Errors
    /// The host does not answer, or refuses.
    pub async fn read_lines(
        &self,
        of: PeerAddress<'_>,
        path: &str,
        host: &str,
    ) -> Result<LineStream, PeerError> {
        let mut request = request(Method::GET, of.url, path, Bytes::new())?;
        of.write(&mut request, host);
        self.start_lines(request, QUIET).await?.map_err(|answer| match answer.status() {
            code if is_unauthorized(code) => PeerError::Unauthorized,
            code => PeerError::Refused(code),
        })
    }

    /// Sends a request to a host that may send nothing for `quiet` at most. If it refuses, the
    /// result has its whole response.
    pub(crate) async fn start_lines(
        &self,
        request: Request<Bytes>,
        quiet: Duration,
    ) -> Result<Result<LineStream, Response<Bytes>>, PeerError> {
        let begun = async {
            let answer = self.open(request).await?;
            if answer.status().is_success() {
                let answer = answer.into_body();
                return Ok(Ok(LineStream { body: answer, unread: Vec::new(), idle_limit: quiet }));
            }
            Ok(Err(read_whole(answer, ANSWER_MAX).await?))
        };
        timeout(quiet, begun).await.map_err(|_| PeerError::Timeout(quiet))?
    }
}

impl LineStream {
    /// The next line, without its end; none at the end of the stream.
    ///
    /// # Errors
    /// The response broke off, or nothing came for too long.
    pub async fn next(&mut self) -> Result<Option<String>, PeerError> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let rest = self.unread.split_off(end + 1);
                let line = std::mem::replace(&mut self.unread, rest);
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            let frame = timeout(self.idle_limit, self.body.frame()).await;
            match frame.map_err(|_| PeerError::Timeout(self.idle_limit))? {
                Some(frame) if self.unread.len() < LINE_MAX => {
                    let piece = frame.map_err(PeerError::BodyBroken)?.into_data();
                    self.unread.extend_from_slice(&piece.unwrap_or_default());
                }
                Some(_) | None => return Ok(None),
            }
        }
    }
}
