//! A client for the plugins, with HTTP/2 and HTTP/1, which examines complete answers.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Request, Response,
    body::{Frame, Incoming},
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::timeout};

use crate::harness::PATIENCE;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A complete answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: HeaderMap,
}

impl Reply {
    /// The result that a check reports in its answer; `good` is the expected text.
    pub(super) fn told(&self, good: &str) -> Result<(), String> {
        let body = String::from_utf8_lossy(&self.body);
        if self.status == 200 && body == good {
            return Ok(());
        }
        Err(format!("{} {body}", self.status))
    }
}

/// The head of the answer to `request`, over HTTP/2.
pub(super) async fn begin(
    to: SocketAddr,
    request: Request<Body>,
) -> Result<Response<Incoming>, String> {
    let exchange = async {
        let stream = TokioIo::new(TcpStream::connect(to).await.map_err(|e| e.to_string())?);
        let client = http2::Builder::new(TokioExecutor::new());
        let (mut sender, connection) = client.handshake(stream).await.map_err(|e| e.to_string())?;
        // The connection ends when the answer has been read.
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| format!("{error:?}"))
    };
    timeout(PATIENCE, exchange).await.map_err(|_| "no answer")?
}

/// The same over HTTP/1.
pub(super) async fn begin_by_1(
    to: SocketAddr,
    request: Request<Body>,
) -> Result<Response<Incoming>, String> {
    let exchange = async {
        let stream = TokioIo::new(TcpStream::connect(to).await.map_err(|e| e.to_string())?);
        let (mut sender, connection) =
            http1::handshake(stream).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        sender.send_request(request).await.map_err(|error| format!("{error:?}"))
    };
    timeout(PATIENCE, exchange).await.map_err(|_| "no answer")?
}

/// Reads the rest of the answer.
pub(super) async fn all(response: Response<Incoming>) -> Result<Reply, String> {
    let (head, body) = response.into_parts();
    let body = timeout(PATIENCE, body.collect()).await.map_err(|_| "the answer does not end")?;
    let body = body.map_err(|error| format!("the answer broke off: {error:?}"))?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let (status, headers) = (head.status.as_u16(), head.headers);
    Ok(Reply { status, headers, body: body.to_bytes(), trailers })
}

/// Sends `request`, and reads the complete answer.
pub(super) async fn ask(to: SocketAddr, request: Request<Body>) -> Result<Reply, String> {
    all(begin(to, request).await?).await
}

/// Gets `target` from the plugin at `to`.
pub(super) async fn get(to: SocketAddr, target: &str) -> Result<Reply, String> {
    let request = Request::get(format!("http://{to}{target}"));
    ask(to, request.body(nothing()).expect("a request")).await
}

pub(super) fn nothing() -> Body {
    pieces(Vec::new(), None)
}

/// A body with these pieces, each in its own frame, and trailers.
pub(super) fn pieces(pieces: Vec<Bytes>, trailers: Option<HeaderMap>) -> Body {
    let pieces = stream::iter(pieces.into_iter().map(Frame::data));
    of(pieces.chain(stream::iter(trailers.map(Frame::trailers))))
}

/// A body whose frames come from a stream.
pub(super) fn of(frames: impl Stream<Item = Frame<Bytes>> + Send + 'static) -> Body {
    StreamBody::new(frames.map(Ok)).boxed_unsync()
}
