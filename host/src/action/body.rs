//! The body of a response, on its way out.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use ::http::{HeaderMap, Response, StatusCode, header};
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use wasmtime_wasi_http::{Error, p2::body::HyperOutgoingBody};

use super::fate::{Fate, Tie};
use crate::capability::{Gate, Shut};

/// Why a response was cut off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Cut {
    #[error("{0}")]
    Shut(#[from] Shut),
    #[error("the plugin failed before its response was complete")]
    Broken,
    #[error("the plugin's response failed")]
    Guest(#[source] Error),
}

/// Marks a response whose body is all there: whatever becomes of its guest, it is good.
#[derive(Clone)]
pub(super) struct Whole;

/// The body that a client gets.
pub(crate) enum ReplyBody {
    /// A text of the host's own.
    Text(Full<Bytes>),
    /// What the guest writes.
    Guest(GuestBody),
}

/// What the guest writes, under the eyes of the gate.
pub(crate) struct GuestBody {
    inner: HyperOutgoingBody,
    gate: Arc<Gate>,
    /// Whether the guest broke off, if that matters.
    fate: Option<Fate>,
    /// Ends the guest when this body is dropped before its end: the client has gone.
    guest: Option<Tie>,
    /// What is still to come, if the response said how much it is.
    left: Option<u64>,
}

impl ReplyBody {
    /// A text.
    pub(crate) fn text(text: String) -> Self {
        Self::Text(Full::new(text.into()))
    }

    /// Lets the head of a response out, with the guest's body under watch.
    /// Where the client gets no body, hyper never asks for it; then the guest
    /// just runs to its end.
    pub(super) fn wrap(
        response: Response<HyperOutgoingBody>,
        expects_body: bool,
        gate: Arc<Gate>,
        fate: Fate,
        guest: Tie,
    ) -> Result<Response<Self>, Shut> {
        gate.pass()?;
        let mut guest = Some(guest);
        let left = content_length(response.headers());
        if !expects_body || has_no_body(response.status()) || left == Some(0) {
            leave(&mut guest);
        }
        let fate = response.extensions().get::<Whole>().is_none().then_some(fate);
        Ok(response.map(|inner| Self::Guest(GuestBody { inner, gate, fate, guest, left })))
    }
}

/// Whether responses of `status` never have a body (RFC 9110, 15.3.5 and 15.4.5).
pub(super) fn has_no_body(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn leave(guest: &mut Option<Tie>) {
    if let Some(guest) = guest.take() {
        guest.untie();
    }
}

impl GuestBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        self.gate.pass()?;
        let Some(frame) = frame.transpose().map_err(Cut::Guest)? else {
            return Poll::Ready(self.end().err().map(Err));
        };
        self.count(&frame);
        Poll::Ready(Some(Ok(frame)))
    }

    fn end(&mut self) -> Result<(), Cut> {
        if self.fate.as_ref().is_some_and(Fate::broken) {
            return Err(Cut::Broken);
        }
        leave(&mut self.guest);
        Ok(())
    }

    /// After the last byte that was promised, hyper does not ask again.
    fn count(&mut self, frame: &Frame<Bytes>) {
        let length = frame.data_ref().map_or(0, Buf::remaining) as u64;
        self.left = self.left.map(|left| left.saturating_sub(length));
        if self.left == Some(0) {
            leave(&mut self.guest);
        }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Text(text) => {
                Pin::new(text).poll_frame(cx).map_err(|infallible| match infallible {})
            }
            Self::Guest(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_end_stream(),
            Self::Guest(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => text.size_hint(),
            Self::Guest(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body_util::{BodyExt, StreamBody};
    use tokio::task::{AbortHandle, yield_now};

    use super::{super::fate::GuestTask, *};
    use crate::{capability::test_gate, clock::BootTime};

    /// A response of two pieces, on its way out; and what decides about it.
    struct Reply {
        gate: Arc<Gate>,
        fate: Fate,
        guest: AbortHandle,
        response: Result<Response<ReplyBody>, Shut>,
    }

    fn reply(expects_body: bool, length: Option<u64>, closed: bool) -> Reply {
        let gate = test_gate(BootTime::NEVER);
        if closed {
            gate.close();
        }
        let fate = Fate::default();
        let guest = GuestTask::new(tokio::spawn(std::future::pending()));
        let handle = guest.abort_handle();
        let pieces = ["one", "two"].map(|piece| Ok(Frame::data(Bytes::from(piece))));
        let mut response = Response::new(StreamBody::new(stream::iter(pieces)).boxed_unsync());
        if let Some(length) = length {
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        }
        let tie = Tie::Task(guest);
        let response = ReplyBody::wrap(response, expects_body, gate.clone(), fate.clone(), tie);
        Reply { gate, fate, guest: handle, response }
    }

    async fn aborted(guest: &AbortHandle) -> bool {
        yield_now().await;
        guest.is_finished()
    }

    #[tokio::test]
    async fn a_whole_body_leaves_the_guest_be() {
        let reply = reply(true, None, false);
        let text = reply.response.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "onetwo");
        assert!(!aborted(&reply.guest).await);
    }

    #[tokio::test]
    async fn all_that_was_promised_is_a_whole_body() {
        let reply = reply(true, Some(6), false);
        let mut body = reply.response.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert!(!aborted(&reply.guest).await);
    }

    #[tokio::test]
    async fn a_client_without_interest_in_the_body_does_not_end_the_guest() {
        let reply = reply(false, None, false);
        drop(reply.response);
        assert!(!aborted(&reply.guest).await);
    }

    #[tokio::test]
    async fn a_body_that_nobody_takes_ends_the_guest() {
        let reply = reply(true, Some(6), false);
        let mut body = reply.response.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert!(aborted(&reply.guest).await);
    }

    #[tokio::test]
    async fn half_a_body_does_not_look_whole() {
        let reply = reply(true, None, false);
        drop(reply.fate.broken_unless_told());
        let end = reply.response.unwrap().into_body().collect().await;
        assert!(matches!(end, Err(Cut::Broken)));
    }

    #[tokio::test]
    async fn what_is_whole_stays_whole() {
        let fate = Fate::default();
        drop(fate.broken_unless_told());
        let body = stream::iter([Ok(Frame::data(Bytes::from("whole")))]);
        let mut response = Response::new(StreamBody::new(body).boxed_unsync());
        response.extensions_mut().insert(Whole);
        let (gate, guest) = (test_gate(BootTime::NEVER), Tie::Over(None));
        let response = ReplyBody::wrap(response, true, gate, fate, guest).unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "whole");
    }

    #[tokio::test]
    async fn a_closed_gate_lets_neither_head_nor_body_out() {
        let shut = reply(true, None, true);
        assert_eq!(shut.response.err(), Some(Shut::Closed));
        assert!(aborted(&shut.guest).await);

        let reply = reply(true, None, false);
        let mut body = reply.response.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        reply.gate.close();
        assert!(matches!(body.frame().await, Some(Err(Cut::Shut(Shut::Closed)))));
    }
}
