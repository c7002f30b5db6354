//! What clients may speak: HTTP/1.1, HTTP/2 without TLS, and both within TLS.

use std::{path::Path, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, Version, body::Bytes};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use soloist::action::Action;
use soloist_config::{ActionConfig, TlsFiles};
use soloist_heart::clock::BootTime;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, copy, duplex, split},
    net::TcpStream,
    task::JoinHandle,
    time::sleep,
};
use tokio_rustls::TlsConnector;

use crate::rig::{Prepared, RunningAction, config, free_address, gate, guest_file, prepare};

type Sender = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;

/// Begins HTTP/2 on `stream`.
pub(crate) async fn begin_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> (Sender, JoinHandle<hyper::Result<()>>) {
    let client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = client.handshake(TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

/// One answer by HTTP/2 on `stream`: its version, and its text.
async fn ask_by_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    uri: String,
) -> (Version, String) {
    let (mut sender, connection) = begin_http2(stream).await;
    let request = Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["soloist-fencing-token"]),
        (200, &"1".parse().unwrap())
    );
    let version = answer.version();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    drop(sender);
    connection.await.unwrap().unwrap();
    (version, String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_recognised_by_its_first_bytes() {
    let rig = RunningAction::up("i-am-server").await;
    let stream = TcpStream::connect(rig.address()).await.unwrap();
    let answer = ask_by_http2(stream, format!("http://{}/", rig.address())).await;
    assert_eq!(answer, (Version::HTTP_2, "I am server a\n".to_owned()));
    assert_eq!(rig.ask("/").await, (200, "I am server a\n".to_owned()));
    rig.stop().await;
}

/// Passes on what `client` writes one byte at a time, each in a segment of its own.
async fn send_bytewise(client: DuplexStream, server: TcpStream) {
    server.set_nodelay(true).unwrap();
    let (mut from_client, mut to_client) = split(client);
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        while let Ok(byte) = from_client.read_u8().await {
            to_server.write_u8(byte).await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
        drop(to_server);
    };
    let _ = tokio::join!(requests, copy(&mut from_server, &mut to_client));
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_recognised_however_small_its_segments_are() {
    let rig = RunningAction::up("i-am-server").await;
    let (client, far) = duplex(4096);
    let server = TcpStream::connect(rig.address()).await.unwrap();
    let passing = tokio::spawn(send_bytewise(far, server));
    let answer = ask_by_http2(client, format!("http://{}/", rig.address())).await;
    assert_eq!(answer, (Version::HTTP_2, "I am server a\n".to_owned()));
    passing.await.unwrap();
    rig.stop().await;
}

/// `PRI` alone is no sign of HTTP/2: methods of HTTP/1 may begin so.
#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_begins_as_http2_does_is_http1() {
    let rig = RunningAction::up("i-am-server").await;
    for method in ["P", "PRINT", "PROPFIND"] {
        let mut stream = TcpStream::connect(rig.address()).await.unwrap();
        let request = format!("{method} / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        // The guest answers it, though it knows no other methods than GET and HEAD.
        assert!(answer.starts_with("HTTP/1.1 405 "), "{method}: {answer}");
    }
    rig.stop().await;
}

/// RFC 9113, section 8.1: a response without a body ends with its head, whatever its guest says.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_body_has_none_by_http2() {
    let rig = RunningAction::up("spin").await;
    let stream = TcpStream::connect(rig.address()).await.unwrap();
    let (mut sender, connection) = begin_http2(stream).await;
    let whole = "a body".len();
    for (method, path, status, length) in [
        ("HEAD", "/status?200", 200, 0),
        ("HEAD", "/broken?short", 200, 0),
        ("HEAD", "/slow-body", 200, 0),
        ("GET", "/status?204", 204, 0),
        ("GET", "/status?304", 304, 0),
        ("GET", "/status?404", 404, whole),
        ("GET", "/status?101", 502, usize::MAX),
        ("GET", "/status?200", 200, whole),
    ] {
        let request = Request::builder().method(method).uri(format!("http://a{path}"));
        let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let told = answer.status().as_u16();
        let body = answer.into_body().collect().await;
        let body = body.unwrap_or_else(|error| panic!("{method} {path}: {error}")).to_bytes();
        assert_eq!(told, status, "{method} {path}: {body:?}");
        assert!(length == usize::MAX || body.len() == length, "{method} {path}: {body:?}");
    }
    drop(sender);
    connection.await.unwrap().unwrap();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_http2_streams_that_are_open() {
    let rig = RunningAction::up("spin").await;
    let stream = TcpStream::connect(rig.address()).await.unwrap();
    let (mut sender, connection) = begin_http2(stream).await;
    let asked: Vec<_> = (0..3)
        .map(|_| {
            let request = Request::get(format!("http://{}/spin", rig.address()));
            sender.send_request(request.body(Empty::<Bytes>::new()).unwrap())
        })
        .collect();
    rig.instances(3).await;
    rig.stop().await;
    for answer in asked {
        assert!(
            answer.await.is_ok_and(|answer| answer.status() == 503) || connection.is_finished()
        );
    }
    drop(sender);
}

pub(crate) fn files() -> Arc<TlsFiles> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/actions/tls");
    TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") }.into()
}

/// `guest`, prepared with TLS.
fn prepare_with_tls(guest: &str, tls: Arc<TlsFiles>) -> Result<Prepared, String> {
    let (engine, _) = prepare(guest, free_address());
    let config = ActionConfig { tls: Some(tls), ..config(guest_file(guest), free_address()) };
    let action = Action::prepare(&config, &engine).map_err(|error| error.to_string())?;
    Ok((engine, action))
}

pub(crate) fn connector(protocol: &[u8]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&files().cert).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_owned()];
    Arc::new(config).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn within_tls_the_protocol_is_agreed_upon() {
    let prepared = prepare_with_tls("i-am-server", files()).unwrap();
    let mut rig = RunningAction::start(prepared, gate(1, BootTime::NEVER));
    rig.running.started().await.unwrap();
    let connect = async |protocol: &[u8]| {
        let stream = TcpStream::connect(rig.address()).await.unwrap();
        let name = "localhost".try_into().unwrap();
        connector(protocol).connect(name, stream).await.unwrap()
    };
    let answer = ask_by_http2(connect(b"h2").await, "https://localhost/".to_owned()).await;
    assert_eq!(answer, (Version::HTTP_2, "I am server a\n".to_owned()));

    let stream = TokioIo::new(connect(b"http/1.1").await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request =
        Request::get("/").header("host", "localhost").body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_11, 200));
    drop(sender);
    connection.await.unwrap().unwrap();

    // A client without TLS gets no response, and blocks nobody else.
    assert!(reqwest::get(format!("http://{}/", rig.address())).await.is_err());
    connect(b"h2").await;
    rig.stop().await;
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_before_anything_listens() {
    let swapped = TlsFiles { cert: files().key.clone(), key: files().cert.clone() };
    let error = prepare_with_tls("i-am-server", swapped.into()).err().unwrap();
    assert!(error.contains("there is no certificate in"), "{error}");
    let missing = TlsFiles { key: "no/such.pem".into(), ..(*files()).clone() };
    let error = prepare_with_tls("i-am-server", missing.into()).err().unwrap();
    assert!(error.contains("cannot read a key from no/such.pem"), "{error}");
}
