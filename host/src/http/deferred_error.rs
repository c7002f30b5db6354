//! Errors of bodies that are returned one poll later.

use std::task::{Context, Poll};

/// An error that is returned one poll later than it is known: when a body fails, hyper drops what
/// it has not sent yet; when a body pauses, hyper sends it.
#[derive(Debug)]
pub(crate) struct DeferredError<E>(Option<E>);

impl<E> Default for DeferredError<E> {
    fn default() -> Self {
        Self(None)
    }
}

impl<E> DeferredError<E> {
    /// Keeps `error` for the next poll, which follows at once.
    pub(crate) fn defer<T>(&mut self, error: E, cx: &Context<'_>) -> Poll<T> {
        self.0 = Some(error);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The deferred error, if there is one.
    pub(crate) fn take(&mut self) -> Option<E> {
        self.0.take()
    }
}
