//! What the relay sends to a leader, and what a host makes of a request that is sent to it as the
//! leader.

use std::time::Duration;

use sha2::{Digest, Sha256};
use soloist_config::{ApiConfig, ApiRole, ApiToken};
use soloist_heart::{FencingToken, Group};
use soloist_stores::QueuedCandidate;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    control_api::ControlApi,
    standby_host::{GET, OK, StandbyHost, asked, leader},
};
use crate::rig::{PATIENCE, TestStore, rest_of};

#[tokio::test]
async fn a_leader_is_told_who_asks_and_for_which_term() {
    let (standby, leader) = (StandbyHost::by(PATIENCE).await, leader().await);
    standby.follow(&leader, 7);
    let client = standby.send(GET).await;
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
    standby.stop().await;
}

/// The roster of another host may be ahead of this host's.
#[tokio::test]
async fn a_host_that_is_asked_for_a_term_to_come_waits_as_long_as_it_may_come() {
    let (standby, world, first) =
        (StandbyHost::by(PATIENCE).await, TestStore::new(), leader().await);
    let control = ControlApi::of(&standby, &world, ApiConfig::default()).await;
    // As far as the relay knows, its candidate is second in the queue.
    standby.follow(&first, 1);
    standby.roster.send_modify(|roster| {
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
    standby.follow(&first, 9);
    let (answer, _) = rest_of(hop).await;
    let answer = answer.to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nsoloist-unserved: not-begun\r\n"), "{answer}");
    control.stop().await;
    standby.stop().await;
}

#[tokio::test]
async fn what_opens_the_control_address_is_for_no_plugin() {
    let (standby, world, leader) =
        (StandbyHost::by(PATIENCE).await, TestStore::new(), leader().await);
    let sha256 = Sha256::digest("t0ken").into();
    let reader = ApiToken { name: "reader".into(), role: ApiRole::Read, sha256 };
    let api = ApiConfig { tokens: vec![reader], ..ApiConfig::default() };
    let control = ControlApi::of(&standby, &world, api).await;
    standby.follow(&leader, 7);
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
    standby.stop().await;
}
