//! What another host answers line by line.

use std::time::Duration;

use ::http::{Method, Request, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{
    ANSWER_MAX, AskError, PASSED_ON, Peers, is_stranger,
    questions::{put, request},
    whole,
};

/// How long a host that answers line by line may be quiet.
const QUIET: Duration = Duration::from_secs(7);

/// A line that is longer is no answer of a host's.
const LINE_MAX: usize = 1 << 20;

/// A host's answer, line by line as it comes.
pub struct Reading {
    answer: Incoming,
    unread: Vec<u8>,
    quiet: Duration,
}

impl Peers {
    /// Asks the host at `url` for what is at `path`, on behalf of `host`.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub async fn read(&self, url: &str, path: &str, host: &str) -> Result<Reading, AskError> {
        let mut request = request(Method::GET, url, path, Bytes::new())?;
        put(&mut request, PASSED_ON, host);
        self.begin(request, QUIET).await?.map_err(|answer| match answer.status() {
            code if is_stranger(code) => AskError::Stranger,
            code => AskError::Refused(code),
        })
    }

    /// Asks a host that may be quiet for so long; the whole of its answer, if it refuses.
    pub(crate) async fn begin(
        &self,
        request: Request<Bytes>,
        quiet: Duration,
    ) -> Result<Result<Reading, Response<Bytes>>, AskError> {
        let begun = async {
            let answer = self.open(request).await?;
            if answer.status().is_success() {
                let answer = answer.into_body();
                return Ok(Ok(Reading { answer, unread: Vec::new(), quiet }));
            }
            Ok(Err(whole(answer, ANSWER_MAX).await?))
        };
        timeout(quiet, begun).await.map_err(|_| AskError::Late(quiet))?
    }
}

impl Reading {
    /// The next line; nothing at the end.
    ///
    /// # Errors
    /// The answer broke off, or was quiet for too long.
    pub async fn next(&mut self) -> Result<Option<String>, AskError> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let rest = self.unread.split_off(end + 1);
                let line = std::mem::replace(&mut self.unread, rest);
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            let frame = timeout(self.quiet, self.answer.frame()).await;
            match frame.map_err(|_| AskError::Late(self.quiet))? {
                Some(frame) if self.unread.len() < LINE_MAX => {
                    let piece = frame.map_err(AskError::BrokeOff)?.into_data();
                    self.unread.extend_from_slice(&piece.unwrap_or_default());
                }
                Some(_) | None => return Ok(None),
            }
        }
    }
}
