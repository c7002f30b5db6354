//! What may come in to the control API at a time: requests, and the bytes of their bodies.
//!
//! Invariant: it is taken before a byte of a body is read and as the bytes come, whatever the
//! route, and given back when the request is answered.

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

/// Requests at a time: each other host may have as many calls of tasks under way as one
/// connection takes.
const REQUESTS: usize = 20 << 10;
/// When a client for whom there is no room may ask again, in seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("1");

/// What there is for all requests.
pub(super) struct RequestBudget {
    requests: Arc<Shares>,
    clients: ClientBudget,
}

/// What a request holds of that; to be kept until it is answered. The bytes of its body are on
/// a [`Tab`], which goes with the request as well.
pub(super) struct BudgetPermit {
    _request: Share,
    _tab: ClientCharge,
}

/// The body of a request, which counts what comes.
pub(super) struct MeteredBody<B = Incoming> {
    inner: B,
    tab: ClientCharge,
}

/// Why a body does not come whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestBodyError {
    /// There is no room for it.
    #[error("there is no room for it now")]
    Crowded,
    /// It broke off.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

impl RequestBudget {
    /// So many requests, of which `clients` hold what they may.
    pub(super) fn of(clients: &ClientBudget) -> Self {
        Self { requests: Shares::new(REQUESTS), clients: clients.clone() }
    }

    /// Lets a request of `client`'s in, with a body that counts.
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

/// Says that there is no room, and what to do.
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

    /// A body of so many pieces of a mebibyte.
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
        // The same client has had its share, and another has something left.
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
