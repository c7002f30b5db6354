//! A minimal HTTP server: hyper, with the same answer as the plugins that `cargo xtask bench http`
//! compares with it.
//!
//! Its only argument is the address to listen on.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Response, header, server};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).context("usage: bare-hyper ADDRESS")?;
    let address: SocketAddr = address.parse().context("this is no address")?;
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream));
    }
}

async fn serve(stream: TcpStream) {
    let answer = service_fn(|_| async {
        let mut response = Response::new(Full::new(Bytes::from_static(b"hello\n")));
        let text = header::HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
        Ok::<_, Infallible>(response)
    });
    // A client that disconnects is no error here.
    let _ =
        server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}
