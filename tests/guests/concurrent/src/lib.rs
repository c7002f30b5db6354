//! An HTTP handler of WASI 0.3 that strains the host in every way.
//!
//! | path | what it does |
//! |---|---|
//! | `/` | answers `ok` |
//! | `/count` | answers how many such requests this instance has answered |
//! | `/spin` | computes for ever |
//! | `/spin-later` | sends the body of the request back, and computes for ever |
//! | `/sleep?ms=N` | answers `slept` after N milliseconds |
//! | `/endless` | answers at once, and writes lines as long as somebody reads them |
//! | `/after?ms=N` | answers `ok`, and prints `after` N milliseconds later |
//! | `/trap` | panics |
//! | `/half` | answers with half a body, and panics after it has read the whole request |
//! | `/error` | answers with an error |
//! | `/echo` | sends the body and the trailer `x-sum` back while they arrive |
//! | `/fetch?URL` | fetches it, and answers with status and body, or 502 and the error |
//! | `/send?URL` | sends the body of the request there while it arrives |
//! | `/long?URL` | sends a body there that is longer than its content-length |
//! | `/pour?IP:PORT` | connects to this IPv4 address, sends 64 MiB at once, and answers when that is done |
//! | `/break?URL` | sends the beginning of a body there, waits for a response, and traps |

use std::{
    net::SocketAddrV4,
    sync::atomic::{AtomicU32, Ordering},
};

use wasip3::{
    clocks::monotonic_clock::wait_for,
    exports::http::handler::Guest,
    http::{
        client,
        types::{ErrorCode, Fields, Method, Request, Response, Scheme, Trailers},
    },
    sockets::types::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, TcpSocket},
    wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local},
    wit_future, wit_stream,
};

wasip3::http::service::export!(Concurrent);

struct Concurrent;

type TrailersToCome = FutureReader<Result<Option<Trailers>, ErrorCode>>;

impl Guest for Concurrent {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let target = request.get_path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let ms = || query.strip_prefix("ms=").and_then(|ms| ms.parse().ok()).unwrap_or(0);
        Ok(match path {
            "/" => text(200, "ok".to_owned()),
            "/count" => text(200, (COUNT.fetch_add(1, Ordering::Relaxed) + 1).to_string()),
            "/spin" => spin(),
            "/spin-later" => {
                let (body, trailers) = consume(request);
                let (mut to, from) = wit_stream::new();
                spawn_local(async move {
                    copy(body, &mut to).await;
                    spin()
                });
                respond(from, trailers)
            }
            "/sleep" => {
                sleep(ms()).await;
                text(200, "slept".to_owned())
            }
            "/endless" => endless(),
            "/after" => {
                let ms = ms();
                spawn_local(async move {
                    sleep(ms).await;
                    println!("after");
                });
                text(200, "ok".to_owned())
            }
            "/pour" => pour(query).await,
            "/trap" => panic!("asked to trap"),
            "/half" => {
                let (body, _) = consume(request);
                let (mut to, from) = wit_stream::new();
                spawn_local(async move {
                    to.write_all(b"half".to_vec()).await;
                    body.collect().await;
                    panic!("asked to trap");
                });
                respond(from, no_trailers())
            }
            "/error" => return Err(ErrorCode::InternalError(Some("asked to".to_owned()))),
            "/echo" => {
                let fields = Fields::new();
                fields.append("trailer", b"x-sum").expect("a header");
                let (body, trailers) = consume(request);
                Response::new(fields, Some(body), trailers).0
            }
            "/fetch" => told(send(query, None).await),
            "/send" => {
                let (body, trailers) = consume(request);
                told(send(query, Some((body, trailers))).await)
            }
            "/long" => told(long(query).await),
            "/break" => breaks(query).await,
            _ => text(404, "no such path".to_owned()),
        })
    }
}

fn spin() -> ! {
    let mut number = 0_u64;
    loop {
        // Hides the loop from the optimiser, which may remove loops without effect.
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

async fn sleep(ms: u64) {
    wait_for(ms * 1_000_000).await;
}

async fn pour(to: &str) -> Response {
    let to: SocketAddrV4 = to.parse().expect("an address");
    let [a, b, c, d] = to.ip().octets();
    let to = Ipv4SocketAddress { port: to.port(), address: (a, b, c, d) };
    let socket = TcpSocket::create(IpAddressFamily::Ipv4).expect("a socket");
    if let Err(error) = socket.connect(IpSocketAddress::Ipv4(to)).await {
        return text(502, format!("{error:?}"));
    }
    let (mut bytes, from) = wit_stream::new();
    let sent = socket.send(from);
    let left = bytes.write_all(vec![b'x'; 64 << 20]).await.len();
    drop(bytes);
    let sent = sent.await;
    text(200, format!("{left} left, {sent:?}"))
}

fn endless() -> Response {
    let (mut to, from) = wit_stream::new();
    spawn_local(async move {
        while to.write_all(b"one more line\n".to_vec()).await.is_empty() {
            sleep(1).await;
        }
    });
    respond(from, no_trailers())
}

fn consume(request: Request) -> (StreamReader<u8>, TrailersToCome) {
    Request::consume_body(request, fine())
}

/// A future that reports success.
fn fine() -> FutureReader<Result<(), ErrorCode>> {
    wit_future::new(|| Ok(())).1
}

fn no_trailers() -> TrailersToCome {
    wit_future::new(|| Ok(None)).1
}

async fn copy(mut from: StreamReader<u8>, to: &mut StreamWriter<u8>) {
    loop {
        let (end, bytes) = from.read(Vec::with_capacity(4096)).await;
        if !to.write_all(bytes).await.is_empty() || end == StreamResult::Dropped {
            return;
        }
    }
}

async fn send(
    url: &str,
    body: Option<(StreamReader<u8>, TrailersToCome)>,
) -> Result<String, ErrorCode> {
    let (method, body, trailers) = match body {
        Some((body, trailers)) => (Method::Post, Some(body), trailers),
        None => (Method::Get, None, no_trailers()),
    };
    let response = client::send(request(url, method, body, trailers)).await?;
    let status = response.get_status_code();
    let (body, trailers) = Response::consume_body(response, fine());
    let text = body.collect().await;
    trailers.await?;
    Ok(format!("{status} {}", String::from_utf8_lossy(&text)))
}

fn request(
    url: &str,
    method: Method,
    body: Option<StreamReader<u8>>,
    trailers: TrailersToCome,
) -> Request {
    request_with(Fields::new(), url, method, body, trailers)
}

fn request_with(
    fields: Fields,
    url: &str,
    method: Method,
    body: Option<StreamReader<u8>>,
    trailers: TrailersToCome,
) -> Request {
    let (_, rest) = url.split_once("://").expect("a URL");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (request, _sent) = Request::new(fields, body, trailers, None);
    request.set_method(&method).expect("a method");
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some(authority)).expect("an authority");
    request.set_path_with_query(Some(&format!("/{path}"))).expect("a path");
    request
}

async fn long(url: &str) -> Result<String, ErrorCode> {
    let (mut to, from) = wit_stream::new();
    let fields = Fields::new();
    fields.append("content-length", b"4").expect("a header");
    let request = request_with(fields, url, Method::Post, Some(from), no_trailers());
    spawn_local(async move {
        to.write_all(b"12345".to_vec()).await;
    });
    let response = client::send(request).await?;
    Ok(response.get_status_code().to_string())
}

async fn breaks(url: &str) -> ! {
    let (mut to, from) = wit_stream::new();
    let request = request(url, Method::Post, Some(from), no_trailers());
    let _response = client::send(request).await.expect("half a response");
    to.write_all(b"half".to_vec()).await;
    // This resolves when the host has accepted the first piece.
    to.write_all(b"more".to_vec()).await;
    panic!("asked to trap");
}

fn told(outcome: Result<String, ErrorCode>) -> Response {
    match outcome {
        Ok(body) => text(200, body),
        Err(error) => text(502, format!("{error:?}")),
    }
}

fn text(status: u16, text: String) -> Response {
    let (mut to, from) = wit_stream::new();
    spawn_local(async move {
        // The client may be gone.
        to.write_all(text.into_bytes()).await;
    });
    let response = respond(from, no_trailers());
    response.set_status_code(status).expect("a status");
    response
}

fn respond(body: StreamReader<u8>, trailers: TrailersToCome) -> Response {
    Response::new(Fields::new(), Some(body), trailers).0
}
