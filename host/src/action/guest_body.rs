//! The body that a guest writes, guarded by the gate and checked against the response's head.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use ::http::{HeaderMap, Method, Response, header, response::Parts};
use bytes::{Buf, Bytes};
use http_body::{Body, Frame};
use wasmtime_wasi_http::{Error, p2::body::HyperOutgoingBody};

use super::{
    access_log::RequestLine, broken_flag::BrokenFlag, guest_handle::GuestHandle,
    response_abort::ResponseAbort, response_monitor::ResponseMonitor,
};
use crate::http::{DeferredError, has_no_body, sanitize_trailers};

/// Marks a response whose whole body is there: it is good, whatever becomes of its guest.
#[derive(Clone)]
pub(super) struct CompleteBody;

/// The body that a guest writes, guarded by the gate.
pub(crate) struct GuestBody {
    inner: HyperOutgoingBody,
    request: RequestLine,
    monitor: Arc<dyn ResponseMonitor>,
    /// What was read before the head was sent: a frame, or the end.
    first_frame: Option<Option<Frame<Bytes>>>,
    deferred_abort: DeferredError<ResponseAbort>,
    /// Whether the guest broke off; `None` if that does not matter.
    broken: Option<BrokenFlag>,
    /// Ends the guest when the body is dropped before its end: the client is gone.
    guest: Option<GuestHandle>,
    /// How many bytes are still to come, if the response said so.
    remaining: Option<u64>,
}

impl GuestBody {
    /// Splits a guest's response into its head and its guarded body.
    ///
    /// Fails if the gate is shut, or the body has already broken off.
    pub(super) fn split(
        response: Response<HyperOutgoingBody>,
        request: RequestLine,
        monitor: Arc<dyn ResponseMonitor>,
        broken: BrokenFlag,
        guest: GuestHandle,
    ) -> Result<(Parts, Self), ResponseAbort> {
        monitor.gate().pass()?;
        let remaining = content_length(response.headers());
        let is_head = request.method == Method::HEAD;
        let has_body = !is_head && !has_no_body(response.status()) && remaining != Some(0);
        let complete = response.extensions().get::<CompleteBody>().is_some();
        let (head, inner) = response.into_parts();
        let mut body = Self {
            inner,
            request,
            monitor,
            first_frame: None,
            deferred_abort: DeferredError::default(),
            broken: (!complete).then_some(broken),
            guest: Some(guest),
            remaining,
        };
        if has_body {
            body.look_ahead()?;
        } else {
            // Hyper never polls this body; the guest just runs to its end.
            body.detach_guest();
        }
        Ok((head, body))
    }

    /// Whether the end was read before the head was sent.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.first_frame, Some(None))
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseAbort>>> {
        if let Some(first_frame) = self.first_frame.take() {
            self.monitor.gate().pass()?;
            return Poll::Ready(first_frame.map(Ok));
        }
        if let Some(abort) = self.deferred_abort.take() {
            return Poll::Ready(Some(Err(abort)));
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        self.monitor.gate().pass()?;
        match self.check_frame(frame) {
            Ok(frame) => Poll::Ready(frame.map(Ok)),
            Err(abort) => self.deferred_abort.defer(abort, cx),
        }
    }

    /// Takes what there is of the body before anything is sent. No waker is needed: hyper polls it
    /// again.
    fn look_ahead(&mut self) -> Result<(), ResponseAbort> {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(first_frame) => self.first_frame = Some(first_frame.transpose()?),
            Poll::Pending => self.deferred_abort.take().map_or(Ok(()), Err)?,
        }
        Ok(())
    }

    /// Checks what the guest writes against what it has promised.
    fn check_frame(
        &mut self,
        frame: Option<Result<Frame<Bytes>, Error>>,
    ) -> Result<Option<Frame<Bytes>>, ResponseAbort> {
        let abort = match frame {
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    sanitize_trailers(trailers);
                }
                self.count_remaining(&frame);
                return Ok(Some(frame));
            }
            // The task of the guest has already reported why it failed.
            _ if self.broken.as_ref().is_some_and(BrokenFlag::is_broken) => {
                return Err(ResponseAbort::GuestFailed);
            }
            Some(Err(error)) => ResponseAbort::BodyFailed(error),
            None => match self.remaining {
                Some(remaining) if remaining > 0 && self.guest.is_some() => {
                    ResponseAbort::TooShort(remaining)
                }
                _ => {
                    self.detach_guest();
                    return Ok(None);
                }
            },
        };
        self.monitor.response_aborted(&self.request, &abort);
        Err(abort)
    }

    /// After the last byte that was promised, hyper does not poll again.
    fn count_remaining(&mut self, frame: &Frame<Bytes>) {
        let length = frame.data_ref().map_or(0, Buf::remaining) as u64;
        self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(length));
        if self.remaining == Some(0) {
            self.detach_guest();
        }
    }

    fn detach_guest(&mut self) {
        if let Some(guest) = self.guest.take() {
            guest.detach();
        }
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
