//! HTTP/2, TLS and upgraded connections through the relay.

use ::http::{Request, Version};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::standby_host::{OK, StandbyHost, asked, leader};
use crate::{
    protocols::{begin_http2, connector, files},
    rig::{PATIENCE, free_address, read_until, rest_of, until},
};

#[tokio::test]
async fn an_upgrade_becomes_a_tunnel_that_ends_with_the_relay() {
    let (standby, leader) = (StandbyHost::by(PATIENCE).await, leader().await);
    standby.follow(&leader, 1);
    let upgrade = "GET /chat HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-key: x\r\n\r\n";
    let mut client = standby.send(upgrade).await;
    let (mut hop, head) = asked(&leader).await;
    let head = head.to_ascii_lowercase();
    assert!(head.contains("upgrade: websocket") && head.contains("connection: upgrade"), "{head}");
    assert!(head.contains("sec-websocket-key: x"), "{head}");
    let switched = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
                    upgrade: websocket\r\n\r\nwelcome";
    hop.write_all(switched.as_bytes()).await.unwrap();
    let answer = read_until(&mut client, "welcome").await.to_ascii_lowercase();
    assert!(
        answer.starts_with("http/1.1 101 ") && answer.contains("upgrade: websocket"),
        "{answer}"
    );
    client.write_all(b"ping").await.unwrap();
    read_until(&mut hop, "ping").await;
    hop.write_all(b"pong").await.unwrap();
    read_until(&mut client, "pong").await;
    standby.stop().await;
    rest_of(client).await;
    rest_of(hop).await;
}

/// Sends a GET by HTTP/2 on `stream`, which `leader` answers; returns the request that the leader
/// got.
async fn by_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    uri: String,
    leader: &TcpListener,
) -> String {
    let (mut sender, connection) = begin_http2(stream).await;
    let request = Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
    let answer = tokio::spawn(sender.send_request(request));
    let (mut hop, head) = asked(leader).await;
    hop.write_all(OK.as_bytes()).await.unwrap();
    let answer = answer.await.unwrap().unwrap();
    assert_eq!((answer.version(), answer.status().as_u16()), (Version::HTTP_2, 200));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "fine");
    drop(sender);
    connection.await.unwrap().unwrap();
    head.to_ascii_lowercase()
}

#[tokio::test]
async fn http_2_and_tls_come_in_and_http_1_goes_on() {
    let (standby, leader) = (StandbyHost::by(PATIENCE).await, leader().await);
    standby.follow(&leader, 1);
    let stream = TcpStream::connect(standby.address).await.unwrap();
    let head = by_http2(stream, "http://example.com/x".into(), &leader).await;
    assert!(head.contains("\r\nsoloist-asked: example.com\r\n"), "{head}");
    assert!(!head.contains("soloist-scheme"), "{head}");
    standby.stop().await;

    let standby = StandbyHost::starting(PATIENCE, free_address(), Some(files()));
    until("the address", || standby.directory.bound_address(&standby.action).is_some()).await;
    standby.follow(&leader, 2);
    let stream = TcpStream::connect(standby.address).await.unwrap();
    let stream = connector(b"h2").connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let head = by_http2(stream, "https://localhost/x".into(), &leader).await;
    assert!(head.contains("x-forwarded-proto: https"), "{head}");
    assert!(head.contains("\r\nsoloist-scheme: https\r\n"), "{head}");
    standby.stop().await;
}
