//! A request as it is handed to a guest, with what it holds until the guest is done with it.

use ::http::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime_wasi_http::WasiBody;

use super::limited_body::LimitedBody;

/// Where a guest's response goes: the response, or the error that the guest returned instead.
pub(super) type ResponseSender = oneshot::Sender<Result<Response<WasiBody>, String>>;

/// The right to be answered; it is released when the guest is done with the request.
pub(super) struct RequestPermit {
    _place: OwnedSemaphorePermit,
    _turn: Option<OwnedSemaphorePermit>,
}

impl RequestPermit {
    /// Holds a place in the queue, and the turn of a request that is being answered.
    pub(super) fn new(place: OwnedSemaphorePermit, turn: Option<OwnedSemaphorePermit>) -> Self {
        Self { _place: place, _turn: turn }
    }
}

/// A request for a guest.
pub(super) struct GuestRequest {
    pub(super) request: Request<LimitedBody>,
    /// Where the head of the response goes.
    pub(super) sender: ResponseSender,
    /// Released when the guest is done with the request.
    pub(super) permit: RequestPermit,
}
