//! Leaders that refuse, hang up or fall silent: when another one is asked, and when none is.

use std::time::Duration;

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::standby_host::{GET, NOT_BEGUN, OK, POST, StandbyHost, asked, leader};
use crate::rig::{PATIENCE, read_until, rest_of};

#[tokio::test]
async fn what_nobody_has_begun_with_waits_for_the_next_leader() {
    let (standby, one, two) = (StandbyHost::by(PATIENCE).await, leader().await, leader().await);
    standby.follow(&one, 1);
    let client = standby.send(POST).await;
    let (mut hop, _) = asked(&one).await;
    hop.write_all(NOT_BEGUN.as_bytes()).await.unwrap();
    // The relay has been told that, and asks nobody.
    rest_of(hop).await;
    assert!(timeout(Duration::from_millis(200), one.accept()).await.is_err(), "it asks again");
    standby.follow(&two, 2);
    let (mut hop, head) = asked(&two).await;
    let body = if head.ends_with("hello") { head } else { read_until(&mut hop, "hello").await };
    assert!(body.ends_with("hello"), "{body}");
    hop.write_all(OK.as_bytes()).await.unwrap();
    assert!(rest_of(client).await.0.starts_with("HTTP/1.1 200 OK"));
    standby.stop().await;
}

/// The question whether a leader's term goes on, which follows after the leader has hung up.
async fn probed(leader: &TcpListener) -> TcpStream {
    let (hop, head) = asked(leader).await;
    assert!(head.to_ascii_lowercase().contains("\r\nsoloist-probe: term\r\n"), "{head}");
    hop
}

#[tokio::test]
async fn after_a_leader_that_hangs_up_another_is_asked_for_what_may_be_repeated() {
    let (standby, one, two) = (StandbyHost::by(PATIENCE).await, leader().await, leader().await);
    standby.follow(&one, 1);
    let client = standby.send(GET).await;
    drop(asked(&one).await);
    probed(&one).await.write_all(NOT_BEGUN.as_bytes()).await.unwrap();
    assert!(timeout(Duration::from_millis(300), one.accept()).await.is_err(), "it asks again");
    standby.follow(&two, 2);
    let (mut hop, _) = asked(&two).await;
    hop.write_all(OK.as_bytes()).await.unwrap();
    assert!(rest_of(client).await.0.starts_with("HTTP/1.1 200 OK"));

    let client = standby.send(POST).await;
    drop(asked(&two).await);
    drop(probed(&two).await);
    let (answer, _) = rest_of(client).await;
    assert!(
        answer.starts_with("HTTP/1.1 502 ") && answer.contains("may have been carried out"),
        "{answer}"
    );
    standby.stop().await;
}

/// Only its response is broken, and no other leader would give another one.
#[tokio::test]
async fn a_leader_that_hangs_up_and_leads_on_is_not_asked_again() {
    let (standby, leader) = (StandbyHost::by(PATIENCE).await, leader().await);
    standby.follow(&leader, 1);
    for request in [GET, POST] {
        let client = standby.send(request).await;
        drop(asked(&leader).await);
        probed(&leader).await.write_all(OK.as_bytes()).await.unwrap();
        let (answer, _) = rest_of(client).await;
        assert!(
            answer.starts_with("HTTP/1.1 502 ") && answer.contains("broke off its answer"),
            "{answer}"
        );
    }
    standby.stop().await;
}

#[tokio::test]
async fn a_leader_that_says_nothing_is_left_when_another_leads() {
    let (standby, one, two) = (StandbyHost::by(PATIENCE).await, leader().await, leader().await);
    standby.follow(&one, 1);
    let client = standby.send(GET).await;
    let _silent = asked(&one).await;
    standby.follow(&two, 2);
    let (mut hop, _) = asked(&two).await;
    hop.write_all(OK.as_bytes()).await.unwrap();
    assert!(rest_of(client).await.0.starts_with("HTTP/1.1 200 OK"));
    standby.stop().await;
}

#[tokio::test]
async fn an_answer_of_which_half_has_come_is_not_asked_for_again() {
    let (standby, leader) = (StandbyHost::by(PATIENCE).await, leader().await);
    standby.follow(&leader, 1);
    let mut client = standby.send(GET).await;
    let (mut hop, _) = asked(&leader).await;
    let half = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    hop.write_all(half.as_bytes()).await.unwrap();
    read_until(&mut client, "half").await;
    drop(hop);
    let (end, _) = rest_of(client).await;
    assert!(!end.contains("0\r\n\r\n"), "it looks whole: {end:?}");
    standby.stop().await;
}
