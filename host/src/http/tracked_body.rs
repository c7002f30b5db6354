//! The body of a response as it is handed to hyper: it notes how long the client takes to read, and
//! keeps its connection busy until it is dropped.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::sleep;

use super::connection_slots::InFlightGuard;
use soloist_heart::clock::BootTime;

/// The largest piece of an HTTP/2 stream, in bytes: this much may be held for each stream whose
/// client leaves no room for it. It is what one frame carries (RFC 9113, section 4.2).
const FRAME_MAX: usize = 16 << 10;

/// Marks that the host is not waiting for the client.
const HOST_TURN: u64 = 0;

/// Since when the host waits for the client to read a piece of a stream. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct StallTimer(Arc<AtomicU64>);

tokio::task_local! {
    /// The stall timer of the stream that is being polled.
    pub(super) static STALL_TIMER: StallTimer;
}

impl StallTimer {
    /// Resolves when the client has read nothing for `patience` although there was something to
    /// read.
    pub(super) async fn stalled(&self, patience: Duration) {
        let mut wait = patience;
        loop {
            sleep(wait).await;
            wait = match self.0.load(Ordering::Relaxed) {
                HOST_TURN => patience,
                since => {
                    let waited = BootTime::now().since(BootTime::from_nanos(since));
                    patience.saturating_sub(waited)
                }
            };
            if wait.is_zero() {
                return;
            }
        }
    }

    fn client_turn(&self) {
        self.0.store(BootTime::now().as_nanos(), Ordering::Relaxed);
    }

    fn host_turn(&self) {
        self.0.store(HOST_TURN, Ordering::Relaxed);
    }
}

/// The body of a response.
pub(crate) struct TrackedBody<B> {
    /// `None` if the response must not have a body, whatever its handler says.
    inner: Option<B>,
    /// The rest of a large piece.
    rest: Bytes,
    /// Set for HTTP/2 streams only. On HTTP/1 connections the kernel has a timeout for that.
    stall_timer: Option<StallTimer>,
    _visit: InFlightGuard,
}

impl<B> TrackedBody<B> {
    /// Wraps `inner`, if there is a body; the response counts as under way until this is dropped.
    pub(super) fn new(inner: Option<B>, in_flight: InFlightGuard) -> Self {
        let stall_timer = STALL_TIMER.try_with(StallTimer::clone).ok();
        if let Some(timer) = &stall_timer {
            timer.client_turn();
        }
        Self { inner, rest: Bytes::new(), stall_timer, _visit: in_flight }
    }

    /// The first piece of `data`; the rest is kept.
    fn split_off_frame(&mut self, mut data: Bytes) -> Frame<Bytes> {
        if self.stall_timer.is_some() && data.len() > FRAME_MAX {
            self.rest = data.split_off(FRAME_MAX);
        }
        Frame::data(data)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for TrackedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if let Some(timer) = &this.stall_timer {
            timer.host_turn();
        }
        let frame = if this.rest.has_remaining() {
            let rest = std::mem::take(&mut this.rest);
            Some(Ok(this.split_off_frame(rest)))
        } else {
            let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
            match ready!(Pin::new(inner).poll_frame(cx)) {
                Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                    Ok(data) => this.split_off_frame(data),
                    Err(frame) => frame,
                })),
                end => end,
            }
        };
        if let Some(timer) = &this.stall_timer {
            timer.client_turn();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let Some(inner) = &self.inner else { return SizeHint::default() };
        let (rest, inner) = (self.rest.len() as u64, inner.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(rest));
        if let Some(upper) = inner.upper().and_then(|upper| upper.checked_add(rest)) {
            hint.set_upper(upper);
        }
        hint
    }
}
