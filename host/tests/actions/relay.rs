//! The relay with simulated leaders: what it sends them, and what it makes of their answers.

mod standby_host;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ::http::{Request, Version};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use sha2::{Digest, Sha256};
use soloist::{
    api::{AccessControl, ApiServices, serve},
    http::PreflightError,
};
use soloist_config::{ApiConfig, ApiRole, ApiToken, HostConfig};
use soloist_heart::{FencingToken, Group};
use soloist_resources::budget::ClientBudget;
use soloist_stores::QueuedCandidate;
use soloist_telemetry::journal::Journal;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::standby_host::{
    GET, NOT_BEGUN, OK, POST, SilentStatus, StandbyHost, asked, host, leader, no_jobs, no_logs,
    nobody,
};
use crate::{
    protocols::{begin_http2, connector, files},
    rig::{PATIENCE, TestStore, free_address, read_until, rest_of, until},
    tasks,
};

/// The control address of a standby.
struct ControlApi {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl ControlApi {
    async fn of(bystander: &StandbyHost, world: &TestStore, api: ApiConfig) -> Self {
        let (listener, stop) = (leader().await, CancellationToken::new());
        let address = listener.local_addr().unwrap();
        let (state, relay) = (world.store.state().unwrap(), bystander.asked.clone());
        let (commands, jobs) = (Arc::new(nobody(world)), Arc::new(no_jobs(world)));
        let (source, tasks) = (Arc::new(SilentStatus), tasks::desk(world));
        let host = HostConfig { api, ..host(address) };
        let entrance = Arc::new(AccessControl::of(&host, address).unwrap());
        let (journal, logs) = (Journal::default(), Arc::new(no_logs()));
        let clients = ClientBudget::alone();
        let desks = ApiServices {
            source,
            state,
            journal,
            commands,
            jobs,
            logs,
            tasks,
            relay,
            entrance,
            clients,
        };
        let serving = tokio::spawn(serve(listener, desks, stop.clone()));
        Self { address, stop, serving }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

/// The address that the leader advertises may be one that only other machines reach.
#[tokio::test]
async fn a_leader_that_is_not_reached_is_named_until_it_is() {
    let (bystander, first) = (StandbyHost::by(Duration::from_millis(300)).await, leader().await);
    let unreached = bystander.asked.unreached_leaders();
    let warnings = || unreached.warnings(bystander.roster.borrow().as_ref().unwrap());
    let address = first.local_addr().unwrap();
    bystander.follow(&first, 1);
    drop(first);
    let (answer, _) = rest_of(bystander.send(GET).await).await;
    let named = format!("a does not reach the leader host-1 at http://{address}: ");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains(&named), "{answer}");
    assert!(warnings().len() == 1 && warnings()[0].starts_with(&named), "{:?}", warnings());

    let back = TcpListener::bind(address).await.unwrap();
    bystander.follow(&back, 2);
    assert!(warnings().is_empty(), "another leads");
    bystander.follow(&back, 1);
    assert_eq!(warnings().len(), 1);
    let client = bystander.send(GET).await;
    let (mut hop, _) = asked(&back).await;
    hop.write_all(OK.as_bytes()).await.unwrap();
    drop(hop);
    let (answer, _) = rest_of(client).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && warnings().is_empty(), "{answer}");
    bystander.stop().await;
}

#[tokio::test]
async fn a_leader_is_told_who_asks_and_for_which_term() {
    let (bystander, leader) = (StandbyHost::by(PATIENCE).await, leader().await);
    bystander.follow(&leader, 7);
    let client = bystander.send(GET).await;
    let (mut hop, head) = asked(&leader).await;
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("get /leader/web/x?y=z http/1.1\r\n"), "{head}");
    for line in [
        "soloist-asked: example.com",
        &format!("host: {}", leader.local_addr().unwrap()),
        "soloist-via: a",
        "soloist-to: host-7 7",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "forwarded: for=127.0.0.1;proto=http;host=\"example.com\"",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "no {line:?} in {head}");
    }
    assert!(!head.contains("x-mine") && !head.contains("liar"), "{head}");
    hop.write_all(OK.as_bytes()).await.unwrap();
    let (answer, _) = rest_of(client).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("fine"), "{answer}");
    bystander.stop().await;
}

/// The roster of another host may be ahead of this host's.
#[tokio::test]
async fn a_host_that_is_asked_for_a_term_to_come_waits_as_long_as_it_may_come() {
    let (bystander, world, first) =
        (StandbyHost::by(PATIENCE).await, TestStore::new(), leader().await);
    let control = ControlApi::of(&bystander, &world, ApiConfig::default()).await;
    // As far as the relay knows, its candidate is second in the queue.
    bystander.follow(&first, 1);
    bystander.roster.send_modify(|roster| {
        let roster = roster.as_mut().unwrap();
        let mut own = QueuedCandidate::clone(&roster.queue(&Group::main())[0]);
        (own.candidate.host, own.key.fencing_token) = ("a".into(), FencingToken(2));
        roster.groups.get_mut(&Group::main()).unwrap().push(own.into());
        roster.revision = 9;
    });
    let mut hop = TcpStream::connect(control.address).await.unwrap();
    let asks = "GET /leader/web/ HTTP/1.1\r\nhost: 127.0.0.1\r\nsoloist-via: c\r\nsoloist-to: a 2\r\n\
                soloist-hold: 20000\r\nconnection: close\r\n\r\n";
    hop.write_all(asks.as_bytes()).await.unwrap();
    let mut byte = [0];
    let early = timeout(Duration::from_millis(200), hop.read_exact(&mut byte)).await;
    assert!(early.is_err(), "it does not wait");
    // Now there is nothing to wait for any more.
    bystander.follow(&first, 9);
    let (answer, _) = rest_of(hop).await;
    let answer = answer.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nsoloist-unserved: not-begun\r\n"), "{answer}");
    control.stop().await;
    bystander.stop().await;
}

#[tokio::test]
async fn what_opens_the_control_address_is_for_no_plugin() {
    let (bystander, world, leader) =
        (StandbyHost::by(PATIENCE).await, TestStore::new(), leader().await);
    let sha256 = Sha256::digest("t0ken").into();
    let reader = ApiToken { name: "reader".into(), role: ApiRole::Read, sha256 };
    let api = ApiConfig { tokens: vec![reader], ..ApiConfig::default() };
    let control = ControlApi::of(&bystander, &world, api).await;
    bystander.follow(&leader, 7);
    for (shown, passed) in [
        ("authorization: Bearer t0ken", None),
        ("authorization: Basic bWU6dDBrZW4=", None),
        ("authorization: Bearer mine\r\nsoloist-authorization: Bearer t0ken", Some("bearer mine")),
    ] {
        let asks = format!(
            "GET /leader/web/ HTTP/1.1\r\nhost: 127.0.0.1\r\nsoloist-via: liar\r\n{shown}\r\n\
             connection: close\r\n\r\n"
        );
        let mut client = TcpStream::connect(control.address).await.unwrap();
        client.write_all(asks.as_bytes()).await.unwrap();
        let (mut hop, head) = asked(&leader).await;
        let head = head.to_ascii_lowercase();
        let authorization = head.lines().find_map(|line| line.strip_prefix("authorization: "));
        assert_eq!(authorization, passed, "{head}");
        assert!(!head.contains("t0ken") && !head.contains("soloist-authorization"), "{head}");
        // A request that only claims to come from a host is not believed.
        assert!(!head.contains("liar"), "{head}");
        hop.write_all(OK.as_bytes()).await.unwrap();
        assert!(rest_of(client).await.0.starts_with("HTTP/1.1 200 OK"));
    }
    control.stop().await;
    bystander.stop().await;
}

#[tokio::test]
async fn what_nobody_has_begun_with_waits_for_the_next_leader() {
    let (bystander, one, two) = (StandbyHost::by(PATIENCE).await, leader().await, leader().await);
    bystander.follow(&one, 1);
    let client = bystander.send(POST).await;
    let (mut hop, _) = asked(&one).await;
    hop.write_all(NOT_BEGUN.as_bytes()).await.unwrap();
    // The relay has been told that, and asks nobody.
    rest_of(hop).await;
    assert!(timeout(Duration::from_millis(200), one.accept()).await.is_err(), "it asks again");
    bystander.follow(&two, 2);
    let (mut hop, head) = asked(&two).await;
    let body = if head.ends_with("hello") { head } else { read_until(&mut hop, "hello").await };
    assert!(body.ends_with("hello"), "{body}");
    hop.write_all(OK.as_bytes()).await.unwrap();
    assert!(rest_of(client).await.0.starts_with("HTTP/1.1 200 OK"));
    bystander.stop().await;
}

/// The question whether a leader's term goes on, which follows after the leader has hung up.
async fn probed(leader: &TcpListener) -> TcpStream {
    let (hop, head) = asked(leader).await;
    assert!(head.to_ascii_lowercase().contains("\r\nsoloist-probe: term\r\n"), "{head}");
    hop
}

#[tokio::test]
async fn after_a_leader_that_hangs_up_another_is_asked_for_what_may_be_repeated() {
    let (bystander, one, two) = (StandbyHost::by(PATIENCE).await, leader().await, leader().await);
    bystander.follow(&one, 1);
    let client = bystander.send(GET).await;
    drop(asked(&one).await);
    probed(&one).await.write_all(NOT_BEGUN.as_bytes()).await.unwrap();
    assert!(timeout(Duration::from_millis(300), one.accept()).await.is_err(), "it asks again");
    bystander.follow(&two, 2);
    let (mut hop, _) = asked(&two).await;
    hop.write_all(OK.as_bytes()).await.unwrap();
    assert!(rest_of(client).await.0.starts_with("HTTP/1.1 200 OK"));

    let client = bystander.send(POST).await;
    drop(asked(&two).await);
    drop(probed(&two).await);
    let (answer, _) = rest_of(client).await;
    assert!(
        answer.starts_with("HTTP/1.1 502 ") && answer.contains("may have been done"),
        "{answer}"
    );
    bystander.stop().await;
}

/// Only its response is broken, and no other leader would give another one.
#[tokio::test]
async fn a_leader_that_hangs_up_and_leads_on_is_not_asked_again() {
    let (bystander, leader) = (StandbyHost::by(PATIENCE).await, leader().await);
    bystander.follow(&leader, 1);
    for request in [GET, POST] {
        let client = bystander.send(request).await;
        drop(asked(&leader).await);
        probed(&leader).await.write_all(OK.as_bytes()).await.unwrap();
        let (answer, _) = rest_of(client).await;
        assert!(
            answer.starts_with("HTTP/1.1 502 ") && answer.contains("broke its answer off"),
            "{answer}"
        );
    }
    bystander.stop().await;
}

#[tokio::test]
async fn a_leader_that_says_nothing_is_left_when_another_leads() {
    let (bystander, one, two) = (StandbyHost::by(PATIENCE).await, leader().await, leader().await);
    bystander.follow(&one, 1);
    let client = bystander.send(GET).await;
    let _silent = asked(&one).await;
    bystander.follow(&two, 2);
    let (mut hop, _) = asked(&two).await;
    hop.write_all(OK.as_bytes()).await.unwrap();
    assert!(rest_of(client).await.0.starts_with("HTTP/1.1 200 OK"));
    bystander.stop().await;
}

#[tokio::test]
async fn an_upgrade_becomes_a_tunnel_that_ends_with_the_relay() {
    let (bystander, leader) = (StandbyHost::by(PATIENCE).await, leader().await);
    bystander.follow(&leader, 1);
    let upgrade = "GET /chat HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-key: x\r\n\r\n";
    let mut client = bystander.send(upgrade).await;
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
    bystander.stop().await;
    rest_of(client).await;
    rest_of(hop).await;
}

#[tokio::test]
async fn an_answer_of_which_half_has_come_is_not_asked_for_again() {
    let (bystander, leader) = (StandbyHost::by(PATIENCE).await, leader().await);
    bystander.follow(&leader, 1);
    let mut client = bystander.send(GET).await;
    let (mut hop, _) = asked(&leader).await;
    let half = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    hop.write_all(half.as_bytes()).await.unwrap();
    read_until(&mut client, "half").await;
    drop(hop);
    let (end, _) = rest_of(client).await;
    assert!(!end.contains("0\r\n\r\n"), "it looks whole: {end:?}");
    bystander.stop().await;
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
    let (bystander, leader) = (StandbyHost::by(PATIENCE).await, leader().await);
    bystander.follow(&leader, 1);
    let stream = TcpStream::connect(bystander.address).await.unwrap();
    let head = by_http2(stream, "http://example.com/x".into(), &leader).await;
    assert!(head.contains("\r\nsoloist-asked: example.com\r\n"), "{head}");
    assert!(!head.contains("soloist-scheme"), "{head}");
    bystander.stop().await;

    let bystander = StandbyHost::starting(PATIENCE, free_address(), Some(files()));
    until("the address", || bystander.lobby.bound_address(&bystander.action).is_some()).await;
    bystander.follow(&leader, 2);
    let stream = TcpStream::connect(bystander.address).await.unwrap();
    let stream = connector(b"h2").connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let head = by_http2(stream, "https://localhost/x".into(), &leader).await;
    assert!(head.contains("x-forwarded-proto: https"), "{head}");
    assert!(head.contains("\r\nsoloist-scheme: https\r\n"), "{head}");
    bystander.stop().await;
}

#[tokio::test]
async fn so_many_wait_and_the_others_are_refused_at_once() {
    let bystander = StandbyHost::by(PATIENCE).await;
    let mut waiting = Vec::new();
    let mut refused = 0;
    while refused == 0 {
        let mut client = bystander.send(GET).await;
        let mut first = [0; 12];
        // Nobody leads, so a response is a refusal.
        match timeout(Duration::from_millis(2), client.read_exact(&mut first)).await {
            Ok(read) => {
                read.unwrap();
                assert_eq!(&first, b"HTTP/1.1 503");
                refused += 1;
            }
            Err(_) => waiting.push(client),
        }
        assert!(waiting.len() <= 2048, "nobody is refused");
    }
    // It may use three quarters; other clients still find room.
    assert!(waiting.len() >= 384, "refused after {}", waiting.len());
    let other = TcpSocket::new_v4().unwrap();
    other.bind(([127, 9, 9, 9], 0).into()).unwrap();
    let mut other = other.connect(bystander.address).await.unwrap();
    other.write_all(GET.as_bytes()).await.unwrap();
    let refusal = timeout(Duration::from_millis(100), other.read_u8()).await;
    assert!(refusal.is_err(), "it does not wait: {refusal:?}");
    waiting.insert(0, other);
    // Clients that leave make room, and the others are answered.
    waiting.truncate(1);
    let leader = leader().await;
    bystander.follow(&leader, 1);
    let answering = tokio::spawn(async move {
        loop {
            let (mut hop, _) = leader.accept().await.unwrap();
            // Connections whose clients are gone may break off at any moment.
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") && hop.read_buf(&mut head).await? > 0 {}
                hop.write_all(OK.as_bytes()).await
            });
        }
    });
    for client in waiting {
        assert!(rest_of(client).await.0.starts_with("HTTP/1.1 200 OK"));
    }
    let welcome = async {
        // It takes a moment until the relay notices that a client is gone.
        while !rest_of(bystander.send(GET).await).await.0.starts_with("HTTP/1.1 200 OK") {}
    };
    timeout(PATIENCE, welcome).await.expect("there is no room");
    answering.abort();
    bystander.stop().await;
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_an_obstacle_until_it_can() {
    let holder = leader().await;
    let address = holder.local_addr().unwrap();
    let bystander = StandbyHost::starting(PATIENCE, address, None);
    until("an obstacle", || bystander.lobby.preflight(&bystander.action).is_err()).await;
    let failed = || {
        matches!(bystander.lobby.preflight(&bystander.action), Err(PreflightError::Relay { .. }))
    };
    until("the relay's own reason", failed).await;
    let reason = bystander.lobby.preflight(&bystander.action).unwrap_err().to_string();
    assert!(reason.contains(&address.to_string()), "{reason}");
    drop(holder);
    until("the address", || bystander.lobby.preflight(&bystander.action).is_ok()).await;
    until("the address", || bystander.lobby.bound_address(&bystander.action) == Some(address))
        .await;
    bystander.stop().await;
}
