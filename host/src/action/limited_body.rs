//! The body of a request on its way to a guest, limited in size.

use std::{
    future::pending,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::SetOnce;
use wasmtime_wasi_http::Error;

use crate::http::{RequestBody, sanitize_trailers};

/// What is wrong with the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyDefect {
    /// It has more than this many bytes.
    TooLarge(u64),
    /// It broke off, or was not sent as HTTP requires.
    Bad,
}

/// A request's body, up to the size that its action accepts.
pub(super) struct LimitedBody<B = RequestBody> {
    inner: B,
    limit: u64,
    remaining: u64,
    /// Set when the body turns out to be wrong. `None` if the request has no body.
    defect: Option<Arc<SetOnce<BodyDefect>>>,
}

/// Reports what is wrong with a [`LimitedBody`].
pub(super) struct DefectWatch(Option<Arc<SetOnce<BodyDefect>>>);

impl<B: Body> LimitedBody<B> {
    /// At most `limit` bytes of `inner`; `None` if its declared size is larger.
    pub(super) fn bounded(inner: B, limit: u64) -> Option<(Self, DefectWatch)> {
        if inner.size_hint().lower() > limit {
            return None;
        }
        let defect = (!inner.is_end_stream()).then(Arc::default);
        let defects = DefectWatch(defect.clone());
        Some((Self { inner, limit, remaining: limit, defect }, defects))
    }
}

impl<B> LimitedBody<B> {
    fn report(&self, defect: BodyDefect) {
        if let Some(defect_cell) = &self.defect {
            // The first defect counts.
            let _ = defect_cell.set(defect);
        }
    }
}

impl DefectWatch {
    /// Resolves to what is wrong with the body, as soon as that is known; otherwise never.
    pub(super) async fn detected(&self) -> BodyDefect {
        match &self.0 {
            Some(defect) => *defect.wait().await,
            None => pending().await,
        }
    }
}

impl<B> Body for LimitedBody<B>
where
    B: Body<Data = Bytes, Error: Into<Error>> + Unpin,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        let Some(frame) = ready!(Pin::new(&mut this.inner).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        let mut frame = frame.map_err(|error| {
            this.report(BodyDefect::Bad);
            error.into()
        })?;
        if let Some(trailers) = frame.trailers_mut() {
            sanitize_trailers(trailers);
        }
        let length = frame.data_ref().map_or(0, Buf::remaining) as u64;
        match this.remaining.checked_sub(length) {
            Some(left) => this.remaining = left,
            None => {
                this.remaining = 0;
                this.report(BodyDefect::TooLarge(this.limit));
                return Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(this.limit)))));
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, stream};
    use http_body_util::{BodyExt, Full, StreamBody};

    use super::*;

    #[tokio::test]
    async fn a_body_that_says_its_size_is_refused_at_once() {
        let body = || Full::from("12345").map_err(|never| -> Error { match never {} });
        assert!(LimitedBody::<_>::bounded(body(), 4).is_none());
        let (upload, defects) = LimitedBody::bounded(body(), 5).unwrap();
        assert_eq!(upload.collect().await.unwrap().to_bytes(), "12345");
        assert!(defects.detected().now_or_never().is_none());
    }

    #[tokio::test]
    async fn no_body_is_never_too_large() {
        let body = Full::<Bytes>::default().map_err(|never| -> Error { match never {} });
        let (upload, defects) = LimitedBody::bounded(body, 0).unwrap();
        assert!(upload.collect().await.unwrap().to_bytes().is_empty());
        assert!(defects.detected().now_or_never().is_none());
    }

    #[tokio::test]
    async fn one_that_does_not_say_it_is_cut_where_it_exceeds() {
        let pieces = ["123", "456"].map(|piece| Ok::<_, Error>(Frame::data(Bytes::from(piece))));
        let (mut upload, defects) =
            LimitedBody::bounded(StreamBody::new(stream::iter(pieces)), 5).unwrap();
        assert!(upload.frame().await.unwrap().is_ok());
        let error = upload.frame().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::HttpRequestBodySize(Some(5))), "{error:?}");
        assert_eq!(defects.detected().now_or_never(), Some(BodyDefect::TooLarge(5)));
    }

    #[tokio::test]
    async fn one_that_breaks_off_is_told_of() {
        let pieces = [Ok(Frame::data(Bytes::from("12"))), Err(Error::ConnectionTerminated)];
        let (mut upload, defects) =
            LimitedBody::bounded(StreamBody::new(stream::iter(pieces)), 5).unwrap();
        assert!(upload.frame().await.unwrap().is_ok());
        assert!(defects.detected().now_or_never().is_none());
        assert!(upload.frame().await.unwrap().is_err());
        assert_eq!(defects.detected().now_or_never(), Some(BodyDefect::Bad));
    }
}
