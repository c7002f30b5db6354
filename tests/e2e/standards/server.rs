//! The servers that the programs send requests to.

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full as Whole, combinators::UnsyncBoxBody};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};

use crate::harness::{at, own_address};

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// A server that reports requests: the method and the path in headers, and the body as the body.
/// `/echo` returns the body while it arrives, `/seen` returns the headers, one on each line, and
/// `/say/WORD` answers with the word.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn of_http_1() -> Self {
        Self::start(async |stream| {
            let served = http1::Builder::new().serve_connection(stream, service_fn(answer));
            // A client may break off.
            let _ = served.await;
        })
        .await
    }

    /// A server that speaks HTTP/2 only and waits for the client to speak first: if the server
    /// spoke first, the client's result would depend on which of them is faster.
    pub(super) async fn of_http_2() -> Self {
        Self::start(async |stream| {
            let _ = refuse(stream.into_inner()).await;
        })
        .await
    }

    async fn start<S>(serve: impl Fn(TokioIo<TcpStream>) -> S + Send + 'static) -> Self
    where
        S: Future<Output = ()> + Send + 'static,
    {
        let address = at(own_address(), 5000);
        let listener = TcpListener::bind(address).await.expect("an address of its own");
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(TokioIo::new(stream)));
            }
        });
        Self { address, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers an HTTP/1 request as an HTTP/2 server does (RFC 9113, section 3.4), and waits until the
/// client has closed the connection, since unread bytes could destroy the answer.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    stream.read_u8().await?;
    stream.write_all(&[&SETTINGS[..], &GOAWAY].concat()).await?;
    stream.shutdown().await?;
    copy(&mut stream, &mut sink()).await.map(drop)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let seen = Response::builder()
        .header("x-seen-method", request.method().as_str())
        .header("x-seen-path", request.uri().to_string());
    let body = match request.uri().path() {
        "/echo" => request.into_body().boxed_unsync(),
        "/seen" => whole(headers(&request)),
        path if path.starts_with("/say/") => whole(path["/say/".len()..].to_owned().into()),
        _ => whole(request.into_body().collect().await?.to_bytes()),
    };
    Ok(seen.body(body).expect("an answer"))
}

fn headers(request: &Request<Incoming>) -> Bytes {
    let headers = request.headers().iter();
    let line = |(name, value): (_, &hyper::header::HeaderValue)| {
        format!("{name}: {}\n", value.to_str().expect("text"))
    };
    headers.map(line).collect::<String>().into()
}

fn whole(bytes: Bytes) -> Body {
    Whole::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A listener whose queue is full: further connections wait.
pub(super) struct Full {
    pub(super) address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Full {
    pub(super) async fn start() -> Self {
        let address = at(own_address(), 5000);
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(address).expect("an address of its own");
        let listener = socket.listen(1).expect("a listener");
        let mut waiting = Vec::new();
        // Until the kernel drops connection attempts, which shows only as a time-out.
        let knock = || timeout(Duration::from_millis(200), TcpStream::connect(address));
        while let Ok(stream) = knock().await {
            waiting.push(stream.expect("room"));
        }
        Self { address, _listener: listener, _waiting: waiting }
    }
}
