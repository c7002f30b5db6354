//! What another host answers line by line.

use std::time::Duration;

use ::http::{Method, Request, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{
    ANSWER_MAX, PASSED_ON, PeerClient, PeerError, is_unauthorized, read_whole,
    requests::{put_header, request},
};

/// How long a host that answers line by line may be quiet.
const QUIET: Duration = Duration::from_secs(7);

/// A line that is longer is no answer of a host's.
const LINE_MAX: usize = 1 << 20;

/// A host's answer, line by line as it comes.
pub struct LineStream {
    body: Incoming,
    unread: Vec<u8>,
    idle_limit: Duration,
}

impl PeerClient {
    /// Asks the host at `url` for what is at `path`, on behalf of `host`.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn read_lines(
        &self,
        url: &str,
        path: &str,
        host: &str,
    ) -> Result<LineStream, PeerError> {
        let mut request = request(Method::GET, url, path, Bytes::new())?;
        put_header(&mut request, PASSED_ON, host);
        self.start_lines(request, QUIET).await?.map_err(|answer| match answer.status() {
            code if is_unauthorized(code) => PeerError::Unauthorized,
            code => PeerError::Refused(code),
        })
    }

    /// Asks a host that may be quiet for so long; the whole of its answer, if it refuses.
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
    /// The next line; nothing at the end.
    ///
    /// # Errors
    /// The answer broke off, or was quiet for too long.
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
