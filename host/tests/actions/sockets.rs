//! Sockets: only where the settings allow it, and never past the gate.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use soloist_config::Grants;
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener as AsyncListener, TcpStream},
    time::timeout,
};

use crate::{
    log::Log,
    rig::{PATIENCE, RunningAction, TestStore, prepare_with, until},
};

fn sockets(entries: &[String]) -> Grants {
    let sockets = entries.iter().map(|entry| entry.parse().unwrap()).collect();
    Grants { sockets, ..Grants::default() }
}

async fn up(grants: Grants) -> RunningAction {
    TestStore::new().start(prepare_with("escape", grants)).await
}

/// Counts connections and datagrams, and answers each with `welcome`.
struct EchoServer {
    tcp: SocketAddr,
    udp: SocketAddr,
    seen: Arc<Mutex<Vec<&'static str>>>,
}

impl EchoServer {
    /// Its threads end with the process: they wait for what must not arrive.
    fn start() -> Self {
        let (tcp, udp) = (TcpListener::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
        let (tcp, udp) = (tcp.unwrap(), udp.unwrap());
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let (of_tcp, of_udp) = (seen.clone(), seen.clone());
        let server = Self { tcp: tcp.local_addr().unwrap(), udp: udp.local_addr().unwrap(), seen };
        thread::spawn(move || {
            while let Ok((mut stream, _)) = tcp.accept() {
                of_tcp.lock().unwrap().push("tcp");
                let _ = std::io::Write::write_all(&mut stream, b"welcome");
            }
        });
        thread::spawn(move || {
            while let Ok((_, from)) = udp.recv_from(&mut [0; 64]) {
                of_udp.lock().unwrap().push("udp");
                let _ = udp.send_to(b"welcome", from);
            }
        });
        server
    }

    fn seen(&self) -> Vec<&'static str> {
        self.seen.lock().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reached_that_is_not_granted() {
    let (server, other) = (EchoServer::start(), EchoServer::start());
    let (tcp, udp) = (server.tcp, server.udp);
    for grants in [
        Grants::default(),
        sockets(&[format!("tcp://{}", other.tcp), format!("udp://{}", other.udp)]),
        // Each protocol at the port of the other.
        sockets(&[format!("udp://{tcp}"), format!("tcp://{udp}")]),
        // By its name only.
        sockets(&[
            format!("tcp://localhost:{}", tcp.port()),
            format!("udp://localhost:{}", udp.port()),
        ]),
    ] {
        let rig = up(grants).await;
        for call in [format!("/connect?{tcp}"), format!("/send?{udp}"), "/listen".to_owned()] {
            let (status, text) = rig.ask(&call).await;
            assert_eq!(status, 502, "{call}: {text}");
        }
        rig.stop().await;
    }
    assert_eq!(server.seen(), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_is_reached() {
    let server = EchoServer::start();
    let rig =
        up(sockets(&[format!("tcp://{}", server.tcp), format!("udp://{}", server.udp)])).await;
    let welcome = (200, "welcome".to_owned());
    assert_eq!(rig.ask(&format!("/connect?{}", server.tcp)).await, welcome);
    assert_eq!(rig.ask(&format!("/send?{}", server.udp)).await, welcome);
    assert_eq!(rig.ask("/listen").await.0, 502);
    assert_eq!(server.seen(), ["tcp", "udp"]);
    rig.stop().await;
}

/// Also if nothing is granted at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_denial_says_what_would_grant_it() {
    let log = Log::of_all();
    let server = EchoServer::start();
    let (tcp, udp) = (server.tcp, server.udp);
    let rig = up(Grants::default()).await;
    let name = "denied.example";
    for (call, grant) in [
        (format!("/connect?{tcp}"), format!("`sockets = [\"tcp://{tcp}\"]` in its settings")),
        (format!("/send?{udp}"), format!("`sockets = [\"udp://{udp}\"]` in its settings")),
        (format!("/connect?{name}:9"), format!("`sockets = [\"tcp://{name}:PORT\"]`")),
        ("/listen".to_owned(), "no setting lets a plugin listen at".to_owned()),
    ] {
        let (status, text) = rig.ask(&call).await;
        assert_eq!(status, 502, "{call}: {text}");
        assert!(log.text().contains(&format!("socket denied: {grant}")), "no {grant}");
    }
    rig.stop().await;
    assert_eq!(server.seen(), Vec::<&str>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_looked_up_only_if_it_is_granted() {
    let server = EchoServer::start();
    let port = server.tcp.port();
    let by_name = format!("/connect?localhost:{port}");
    let rig = up(sockets(&[format!("tcp://localhost:{port}")])).await;
    assert_eq!(rig.ask(&by_name).await, (200, "welcome".to_owned()));
    // A lookup by one instance is no grant for another.
    assert_eq!(rig.ask(&format!("/connect?{}", server.tcp)).await.0, 502);
    rig.stop().await;
    let rig = up(sockets(&[format!("tcp://{}", server.tcp)])).await;
    assert_eq!(rig.ask(&by_name).await.0, 502);
    rig.stop().await;
    assert_eq!(server.seen(), ["tcp"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_gate_nothing_is_sent() {
    let server = AsyncListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let rig = up(sockets(&[format!("tcp://{address}")])).await;
    let _request = rig.send(&format!("GET /drip?{address} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
    let (mut stream, _) = server.accept().await.unwrap();
    let mut come = [0; 64];
    assert!(stream.read(&mut come).await.unwrap() > 0);
    // No stop, no task: only the gate.
    rig.gate.close();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "it still sends: {}", String::from_utf8_lossy(&rest));
    until("the guest has ended", || rig.engine.live_instances() == 0).await;
    rig.stop().await;
}

/// What a guest of WASI 0.3 has handed over in one piece is sent piece by piece, and only while the
/// gate is open. Neither the guest's code nor a stop has to run for that.
#[tokio::test(flavor = "multi_thread")]
async fn past_the_gate_nothing_is_sent_that_was_begun() {
    let server = AsyncListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let grants = sockets(&[format!("tcp://{address}")]);
    let rig = TestStore::new().start(prepare_with("concurrent", grants)).await;
    let pour = format!("GET /pour?{address} HTTP/1.1\r\nhost: a\r\n\r\n");
    let (all, sent) = (64 << 20, Duration::from_secs(1));
    // While the gate is open, all of it arrives.
    let _request = rig.send(&pour).await;
    let (mut stream, _) = server.accept().await.unwrap();
    assert_eq!(taken(&mut stream, PIECE, PATIENCE).await, PIECE);
    assert_eq!(PIECE + taken(&mut stream, all, PATIENCE).await, all);
    let _request = rig.send(&pour).await;
    let (mut stream, _) = server.accept().await.unwrap();
    assert_eq!(taken(&mut stream, PIECE, PATIENCE).await, PIECE);
    rig.gate.close();
    // What the kernel has already is on its way.
    let came = PIECE + taken(&mut stream, all, sent).await;
    assert!(came < all / 2, "{came} bytes of {all} came");
    rig.stop().await;
}

const PIECE: usize = 1 << 10;

/// How many bytes arrive until there are `most`, or until none come for `patience`.
async fn taken(stream: &mut TcpStream, most: usize, patience: Duration) -> usize {
    let (mut count, mut piece) = (0, vec![0; PIECE.max(most.min(1 << 16))]);
    while count < most {
        let room = piece.len().min(most - count);
        match timeout(patience, stream.read(&mut piece[..room])).await {
            Ok(Ok(0) | Err(_)) | Err(_) => break,
            Ok(Ok(more)) => count += more,
        }
    }
    count
}
