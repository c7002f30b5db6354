//! The size of requests at any address of a host, and the time that they may take.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use super::*;

/// More bytes than the head of a request may have.
const TOO_MUCH: usize = 512 << 10;

/// The answer to `text` up to the end of the connection, and the time until then.
async fn answer(address: SocketAddr, text: impl AsRef<[u8]>) -> (String, Duration) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The host may hang up before it has read everything.
    let _ = stream.write_all(text.as_ref()).await;
    let (sent, mut answer) = (Instant::now(), Vec::new());
    let read = timeout(2 * PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the connection is held for ever");
    (String::from_utf8_lossy(&answer).into_owned(), sent.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_takes_more_than_it_should() {
    let mut guarded = Guarded::new(Kind::Sqlite).await;
    guarded.start("a", "max_body_size = \"64KiB\"\n");
    guarded.cluster.leading("a").await;
    let control = guarded.cluster.host("a").api().await;
    let web = guarded.addresses["a"];
    // The request waits for the leader, if necessary.
    assert_eq!(told(reqwest::Client::new().get(format!("http://{web}/"))).await.0, 200);
    for address in [control, web] {
        let long =
            format!("GET / HTTP/1.1\r\nhost: {address}\r\nx: {}\r\n\r\n", "x".repeat(TOO_MUCH));
        let (said, _) = answer(address, &long).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 431 "), "{said}");
        let many: String = (0..300).map(|n| format!("x-{n}: {n}\r\n")).collect();
        let (said, _) = answer(address, &format!("GET / HTTP/1.1\r\n{many}\r\n")).await;
        assert!(said.starts_with("HTTP/1.1 431 "), "{said}");
    }
    let orders = [
        ("POST /v1/pause", 65_537, "the body of a command has 65536 bytes at most"),
        ("PUT /v1/state/kept/k", 262_145, "longer than 262144 bytes"),
    ];
    for (what, length, words) in orders {
        // The client announces the length, and sends nothing.
        let head = format!("{what} HTTP/1.1\r\nhost: {control}\r\nconnection: close\r\n");
        let (said, _) = answer(control, &format!("{head}content-length: {length}\r\n\r\n")).await;
        assert!(said.starts_with("HTTP/1.1 413 ") && said.contains(words), "{said}");
        // The client does not announce the length.
        let chunk = format!("{length:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(length));
        let chunked = format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}");
        let (said, _) = answer(control, &chunked).await;
        assert!(said.starts_with("HTTP/1.1 413 ") && said.contains(words), "{said}");
    }
    let large = format!("POST / HTTP/1.1\r\nhost: {web}\r\ncontent-length: 65537\r\n\r\n");
    assert!(answer(web, &large).await.0.starts_with("HTTP/1.1 413 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_waited_for_forever() {
    let mut guarded = Guarded::new(Kind::Sqlite).await;
    guarded.start("a", "");
    guarded.cluster.leading("a").await;
    let (control, web) = (guarded.cluster.host("a").api().await, guarded.addresses["a"]);
    // The request waits for the leader, if necessary.
    assert_eq!(told(reqwest::Client::new().get(format!("http://{web}/"))).await.0, 200);
    let head = "GET / HTTP/1.1\r\nhost: localhost\r\nx: ";
    let body = "POST /v1/pause HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\nconnection: close\r\n\r\n{";
    // RFC 9113: the preface, empty settings, and a head that is to be continued (`GET`, indexed).
    let http_2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\x01\0\0\0\0\x01";
    let http_2 = [http_2.as_bytes(), &[0x82]].concat();
    let (in_head, at_web, in_body, idle, of_http_2, of_http_2_at_web) = tokio::join!(
        answer(control, head),
        answer(web, head),
        answer(control, body),
        answer(control, ""),
        answer(control, &http_2),
        answer(web, &http_2)
    );
    let within = |time: Duration, limit: u64| {
        time > Duration::from_secs(limit - 1) && time < Duration::from_secs(limit + 15)
    };
    assert!(within(in_head.1, 10) && within(idle.1, 10), "{in_head:?} {idle:?}");
    assert!(within(at_web.1, 30), "{at_web:?}");
    assert!(within(of_http_2.1, 10), "{of_http_2:?}");
    assert!(within(of_http_2_at_web.1, 30), "{of_http_2_at_web:?}");
    assert!(within(in_body.1, 10) && in_body.0.starts_with("HTTP/1.1 408 "), "{in_body:?}");
    assert!(in_body.0.contains("did not arrive within 10 s"), "{in_body:?}");
}
