//! Bodies of requests on their way in: bounded in size, and in time by their size.

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

/// How long a client may take to send a request, to sit idle, or to take nothing of an answer.
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(10);
/// The slowest that a client may send, in bytes a second, once [`REQUEST_TIME`] is over.
const SLOWEST: usize = 16 << 10;

/// Why there is no whole body.
pub(super) enum IncompleteBody {
    /// It is longer than it may be.
    Large,
    /// It comes too slowly.
    Slow,
    /// It broke off.
    Broken(axum::Error),
}

/// The whole body, of `most` bytes at most.
pub(super) async fn read_whole(mut body: Body, most: usize) -> Result<Bytes, IncompleteBody> {
    // Whoever says so beforehand need not send it all first.
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
    /// Whether there was no room for it.
    fn is_crowded(&self) -> bool {
        let Self::Broken(error) = self else { return false };
        let cut = error.source().and_then(|cut| cut.downcast_ref::<RequestBodyError>());
        matches!(cut, Some(RequestBodyError::Crowded))
    }

    /// What is said of it; `what` the body is, and what is said of one that is too long.
    pub(super) fn refusal(self, what: &str, large: impl FnOnce() -> ApiError) -> ApiError {
        match self {
            _ if self.is_crowded() => crowded(&format!("there is no room for the {what} now")),
            Self::Large => large(),
            Self::Slow => {
                let error = format!("the {what} did not come within {} s", REQUEST_TIME.as_secs());
                ApiError::new(StatusCode::REQUEST_TIMEOUT, error, "send it again")
            }
            Self::Broken(error) => {
                ApiError::bad_request(format!("the {what} did not come whole: {error}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{StreamExt, stream};

    use super::*;

    /// A body that comes in pieces, one a second.
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
        // Within the first ten seconds it may come as it likes.
        assert!(matches!(length(slow(9, 1)).await, Ok(9)));
        assert!(matches!(length(slow(20, 1)).await, Err(IncompleteBody::Slow)));
        // One that comes steadily may take longer.
        assert!(length(slow(30, SLOWEST)).await.is_ok());
        assert!(matches!(length(slow(65, SLOWEST)).await, Err(IncompleteBody::Large)));
        let told = Body::from(vec![0; 2 << 20]);
        assert!(matches!(length(told).await, Err(IncompleteBody::Large)));
    }
}
