//! Requests that guests send, and that these carry the fencing token.

use soloist_config::Grants;
use tokio::io::AsyncWriteExt;

use crate::{
    backend::{Backend, BackendBehaviour, FullBacklog, outbound},
    rig::{RunningAction, TestStore, prepare_with, read_until, until},
};

async fn up(grants: Grants) -> RunningAction {
    TestStore::new().start(prepare_with("reach", grants)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_that_is_not_granted() {
    let backend = Backend::start(BackendBehaviour::Prompt);
    let other = Backend::start(BackendBehaviour::Prompt);
    for grants in [Grants::default(), other.granted(), outbound("http://localhost")] {
        let rig = up(grants).await;
        let (status, text) = rig.ask(&format!("/fetch?{}", backend.url())).await;
        assert_eq!((status, text.as_str()), (502, "ErrorCode::HttpRequestDenied"));
        rig.stop().await;
    }
    assert_eq!(backend.seen(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_carry_the_token_and_share_a_connection() {
    let backend = Backend::start(BackendBehaviour::Prompt);
    let rig = up(backend.granted()).await;
    let fencing_token = rig.gate.term().fencing_token.0;
    for path in ["/fetch", "/forge", "/fetch"] {
        let answer = rig.ask(&format!("{path}?{}/x?y", backend.url())).await;
        assert_eq!(answer, (200, "200 hello".to_owned()));
    }
    let seen = backend.seen();
    let [requests] = &seen[..] else { panic!("{seen:?}") };
    let heads: Vec<_> = requests.split("\r\n\r\n").filter(|head| !head.is_empty()).collect();
    assert_eq!(heads.len(), 3);
    for head in heads {
        assert!(head.starts_with("GET /x?y HTTP/1.1\r\n"), "{head}");
        let stamps: Vec<_> = head.lines().filter(|line| line.contains("soloist")).collect();
        assert_eq!(
            stamps,
            ["soloist-host: a", &format!("soloist-fencing-token: {fencing_token}")],
            "{head}"
        );
        assert!(head.contains(&format!("host: {}", backend.address)), "{head}");
    }
    rig.stop().await;
    backend.sees("<closed>").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_token_a_guest_cannot_set_one_either() {
    let backend = Backend::start(BackendBehaviour::Prompt);
    let rig = up(Grants { outbound_fencing_token: false, ..backend.granted() }).await;
    assert_eq!(rig.ask(&format!("/forge?{}", backend.url())).await.0, 200);
    assert!(!backend.seen().concat().contains("soloist"), "{:?}", backend.seen());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_reached_by_its_name_only_if_that_is_granted() {
    let backend = Backend::start(BackendBehaviour::Prompt);
    let port = backend.address.port();
    let by_name = format!("http://localhost:{port}");
    let rig = up(outbound(&by_name)).await;
    assert_eq!(rig.ask(&format!("/fetch?{by_name}")).await, (200, "200 hello".to_owned()));
    assert_eq!(rig.ask(&format!("/fetch?{}", backend.url())).await.0, 502);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_longer_than_it_says_is_told_as_that() {
    let backend = Backend::start(BackendBehaviour::Patient);
    let rig = TestStore::new().start(prepare_with("concurrent", backend.granted())).await;
    let (status, text) = rig.ask(&format!("/long?{}", backend.url())).await;
    assert_eq!(status, 502, "{text}");
    assert!(text.contains("HttpRequestBodySize"), "{text}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_sent_while_it_arrives() {
    let backend = Backend::start(BackendBehaviour::Patient);
    let rig = up(backend.granted()).await;
    let head = format!(
        "POST /send?{} HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf",
        backend.url()
    );
    let mut stream = rig.send(&head).await;
    backend.sees("half").await;
    stream.write_all(b"whole").await.unwrap();
    let answer = read_until(&mut stream, "hello").await;
    assert!(answer.contains("200 OK"), "{answer}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_body_does_not_look_whole() {
    let backend = Backend::start(BackendBehaviour::Patient);
    let rig = up(backend.granted()).await;
    let (status, _) = rig.ask(&format!("/break?{}", backend.url())).await;
    assert_eq!(status, 500);
    backend.sees("<closed>").await;
    let seen = backend.seen().concat();
    assert!(!seen.contains("\r\n0\r\n\r\n"), "{seen}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_may_lose_patience() {
    let (silent, half) =
        (Backend::start(BackendBehaviour::Silent), Backend::start(BackendBehaviour::Half));
    let full = FullBacklog::start().await;
    for (url, error) in [
        (full.url(), "ErrorCode::ConnectionTimeout"),
        (silent.url(), "ErrorCode::ConnectionReadTimeout"),
        (half.url(), "read timeout"),
    ] {
        let rig = up(outbound(&url)).await;
        let (status, text) = rig.ask(&format!("/hasty?{url}")).await;
        assert!(status == 502 && text.contains(error), "{status} {text}, not {error}");
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refuses_is_told_apart() {
    let backend = Backend::start(BackendBehaviour::Prompt);
    let (url, grants) = (backend.url(), backend.granted());
    drop(backend);
    let rig = up(grants).await;
    until("the port is closed", || std::net::TcpStream::connect(&url[7..]).is_err()).await;
    let answer = rig.ask(&format!("/fetch?{url}")).await;
    assert_eq!(answer, (502, "ErrorCode::ConnectionRefused".to_owned()));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_certificate_is_refused() {
    let backend = Backend::start(BackendBehaviour::Garbage);
    let url = format!("https://{}", backend.address);
    let rig = up(outbound(&url)).await;
    let (status, text) = rig.ask(&format!("/fetch?{url}")).await;
    assert!(status == 502 && text.contains("Tls"), "{status} {text}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_connection_does_not_hold_up_a_drain() {
    let backend = Backend::start(BackendBehaviour::Prompt);
    let mut rig = up(backend.granted()).await;
    assert_eq!(rig.ask(&format!("/fetch?{}", backend.url())).await.0, 200);
    rig.gate.drain();
    let drained = tokio::time::timeout(std::time::Duration::from_secs(5), rig.running.drain());
    drained.await.expect("the drain waits for a connection that nobody uses");
    rig.stop().await;
}
