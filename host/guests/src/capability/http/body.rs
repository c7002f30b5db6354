//! Bodies of outgoing requests and of their responses.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};
use wasmtime_wasi_http::{Error, WasiBody};

use super::{alive_flag::AliveFlag, gate::pass_gate};
use soloist_leadership::Gate;
use soloist_resources::budget::Charge;

/// The most bytes that a guest writes to a body at once. Twice as much may wait for the connection
/// (wasmtime: `HostOutgoingBody::new`).
pub(super) const CHUNK: usize = 64 << 10;
/// What a body is charged with, in bytes.
pub(super) const BODY: u64 = 2 * CHUNK as u64;

/// The body of an outgoing request. It ends with an error if its guest has ended before it was
/// complete.
pub(super) struct OutgoingBody {
    inner: WasiBody,
    alive: AliveFlag,
}

impl OutgoingBody {
    pub(super) fn new(inner: WasiBody, alive: AliveFlag) -> Self {
        Self { inner, alive }
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        // Checked after the end was seen: the flag is cleared before the body is dropped.
        if frame.is_none() && !self.alive.is_alive() {
            return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body that is charged to its action's account.
pub(super) struct ChargedBody {
    inner: WasiBody,
    _charge: Charge,
}

impl ChargedBody {
    pub(super) fn new(inner: WasiBody, charge: Charge) -> Self {
        Self { inner, _charge: charge }
    }
}

impl Body for ChargedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of a response. Each frame passes the gate.
pub(super) struct IncomingBody {
    inner: Incoming,
    gate: Arc<Gate>,
    _charge: Charge,
    patience: Duration,
    /// Runs while no frame arrives.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl IncomingBody {
    /// `patience` is the longest time between two frames of `inner`.
    pub(super) fn new(
        inner: Incoming,
        gate: Arc<Gate>,
        patience: Duration,
        charge: Charge,
    ) -> Self {
        Self { inner, gate, patience, waiting: None, _charge: charge }
    }
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            this.waiting = None;
            pass_gate(&this.gate)?;
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        let patience = this.patience;
        let waiting = this.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
