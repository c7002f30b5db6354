//! Limits what the control API takes in at a time: requests, and the bytes of their bodies.
//!
//! Invariant: a request is counted before its body is read, and the body as its bytes arrive, on
//! every route. Both are released when the response is done.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::http::{HeaderValue, Request, StatusCode};
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::api_error::ApiError;
use soloist_resources::{
    budget::{ClientBudget, ClientCharge, OverBudget},
    shares::{ClientAddress, Share, Shares},
};

/// The greatest number of concurrent requests: each other host may have as many task calls in
/// flight as one connection carries.
const REQUESTS: usize = 20 << 10;
/// When a refused client may try again, in seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("1");

/// The budget for all requests.
pub(super) struct RequestBudget {
    requests: Arc<Shares>,
    clients: ClientBudget,
}

/// What one request holds of the budget, until it is answered. The bytes of its body are counted
/// on a [`ClientCharge`], which also travels with the request.
pub(super) struct BudgetPermit {
    _request: Share,
    _tab: ClientCharge,
}

/// A request body that counts its bytes as they arrive.
pub(super) struct MeteredBody<B = Incoming> {
    inner: B,
    tab: ClientCharge,
}

/// Why a body is incomplete.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestBodyError {
    /// There is no memory left for it.
    #[error("this host has no memory for it now")]
    Crowded,
    /// The connection broke off.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

impl RequestBudget {
    /// The budget of requests, where `clients` limits the memory of each client.
    pub(super) fn of(clients: &ClientBudget) -> Self {
        Self { requests: Shares::new(REQUESTS), clients: clients.clone() }
    }

    /// Admits a request of `client`, and wraps its body so that its bytes are counted.
    pub(super) fn admit<B>(
        &self,
        client: ClientAddress,
        request: Request<B>,
    ) -> Result<(Request<MeteredBody<B>>, BudgetPermit), ApiError> {
        let many = || crowded("too many requests at once");
        let place = self.requests.take(client, 1).map_err(|_| many())?;
        let tab = self.clients.open_charge(client).map_err(|_| many())?;
        let mut request = request.map(|inner| MeteredBody { inner, tab: tab.clone() });
        request.extensions_mut().insert(tab.clone());
        Ok((request, BudgetPermit { _request: place, _tab: tab }))
    }
}

/// The error response when the budget is exhausted.
pub(super) fn crowded(what: &str) -> ApiError {
    let help = "ask again in a moment, fewer at a time, or another host";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, what, help).retry_after(AGAIN)
}

impl From<OverBudget> for RequestBodyError {
    fn from(_: OverBudget) -> Self {
        Self::Crowded
    }
}

impl<B: Body<Data = Bytes, Error: Into<RequestBodyError>> + Unpin> Body for MeteredBody<B> {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(Into::into)?;
            this.tab.grow(frame.data_ref().map_or(0, Buf::remaining))?;
            Ok(frame)
        }))
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
    use std::net::Ipv4Addr;

    use futures::stream;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    /// A body of `pieces` pieces of one MiB.
    fn body(pieces: usize) -> impl Body<Data = Bytes, Error = RequestBodyError> + Unpin {
        let pieces = std::iter::repeat_n(Bytes::from(vec![0; 1 << 20]), pieces);
        StreamBody::new(stream::iter(pieces.map(|piece| Ok(Frame::data(piece)))))
    }

    fn client(last: u8) -> ClientAddress {
        ClientAddress::at(Ipv4Addr::new(192, 0, 2, last).into())
    }

    #[tokio::test]
    async fn bytes_are_counted_until_their_request_is_answered() {
        let budget = RequestBudget::of(&ClientBudget::alone());
        let (first, held) = budget.admit(client(1), Request::new(body(150))).ok().unwrap();
        assert_eq!(first.into_body().collect().await.unwrap().to_bytes().len(), 150 << 20);
        // This client has used its share; another one still gets some.
        let (more, _) = budget.admit(client(1), Request::new(body(50))).ok().unwrap();
        assert!(matches!(more.into_body().collect().await, Err(RequestBodyError::Crowded)));
        let (other, _) = budget.admit(client(2), Request::new(body(50))).ok().unwrap();
        assert!(other.into_body().collect().await.is_ok());
        drop(held);
        let (again, _) = budget.admit(client(1), Request::new(body(150))).ok().unwrap();
        assert!(again.into_body().collect().await.is_ok());
    }

    #[test]
    fn requests_of_one_client_leave_room_for_others() {
        let budget = RequestBudget::of(&ClientBudget::alone());
        let admit = |last| budget.admit(client(last), Request::new(())).ok().map(|(_, held)| held);
        let held: Vec<_> = std::iter::from_fn(|| admit(1)).collect();
        assert_eq!(held.len(), REQUESTS / 4 * 3);
        assert!(admit(2).is_some());
        drop(held);
        assert!(admit(1).is_some());
    }
}
