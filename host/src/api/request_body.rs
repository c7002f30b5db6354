//! Reads request bodies, with limits on size and time; the time depends on the size.

use std::{error::Error, time::Duration};

use axum::{body::Body, http::StatusCode};
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::{
    api_error::ApiError,
    request_budget::{RequestBodyError, crowded},
};

/// How long a client may take to send a request, be idle, or read nothing of a response.
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(10);
/// The slowest rate at which a client may send after [`REQUEST_TIME`], in bytes per second.
const SLOWEST: usize = 16 << 10;

/// Why a body was not read completely.
pub(super) enum IncompleteBody {
    /// It is larger than allowed.
    Large,
    /// It arrives too slowly.
    Slow,
    /// The connection broke off.
    Broken(axum::Error),
}

/// Reads a whole body of up to `most` bytes.
pub(super) async fn read_whole(mut body: Body, most: usize) -> Result<Bytes, IncompleteBody> {
    // A client that announces too large a body need not send it first.
    if usize::try_from(body.size_hint().lower()).is_ok_and(|length| length > most) {
        return Err(IncompleteBody::Large);
    }
    let (begun, mut whole) = (Instant::now(), BytesMut::new());
    loop {
        let time = REQUEST_TIME + Duration::from_secs((whole.len() / SLOWEST) as u64);
        let frame =
            timeout_at(begun + time, body.frame()).await.map_err(|_| IncompleteBody::Slow)?;
        let Some(frame) = frame else { return Ok(whole.freeze()) };
        let Ok(data) = frame.map_err(IncompleteBody::Broken)?.into_data() else { continue };
        if whole.len() + data.len() > most {
            return Err(IncompleteBody::Large);
        }
        whole.extend_from_slice(&data);
    }
}

impl IncompleteBody {
    /// Whether there was no memory left for it.
    fn is_crowded(&self) -> bool {
        let Self::Broken(error) = self else { return false };
        let cut = error.source().and_then(|cut| cut.downcast_ref::<RequestBodyError>());
        matches!(cut, Some(RequestBodyError::Crowded))
    }

    /// The error response. `what` names the body, and `large` is the error if it is too large.
    pub(super) fn refusal(self, what: &str, large: impl FnOnce() -> ApiError) -> ApiError {
        match self {
            _ if self.is_crowded() => {
                crowded(&format!("this host has no memory for the {what} now"))
            }
            Self::Large => large(),
            Self::Slow => {
                let error =
                    format!("the {what} did not arrive within {} s", REQUEST_TIME.as_secs());
                ApiError::new(StatusCode::REQUEST_TIMEOUT, error, "send it again")
            }
            Self::Broken(error) => {
                ApiError::bad_request(format!("the {what} is incomplete: {error}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{StreamExt, stream};

    use super::*;

    /// A body of `pieces` pieces, one per second.
    fn slow(pieces: usize, size: usize) -> Body {
        let ticks = stream::unfold(pieces, move |left| async move {
            let left = left.checked_sub(1)?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, Infallible>(vec![0; size]), left))
        });
        Body::from_stream(ticks.boxed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_take_its_time_but_not_all_time() {
        let length = async |body| read_whole(body, 1 << 20).await.map(|body| body.len());
        assert!(matches!(length(Body::from("hello")).await, Ok(5)));
        assert!(matches!(length(Body::empty()).await, Ok(0)));
        // Within the first ten seconds any rate will do.
        assert!(matches!(length(slow(9, 1)).await, Ok(9)));
        assert!(matches!(length(slow(20, 1)).await, Err(IncompleteBody::Slow)));
        // A steady body may take longer.
        assert!(length(slow(30, SLOWEST)).await.is_ok());
        assert!(matches!(length(slow(65, SLOWEST)).await, Err(IncompleteBody::Large)));
        let told = Body::from(vec![0; 2 << 20]);
        assert!(matches!(length(told).await, Err(IncompleteBody::Large)));
    }
}
