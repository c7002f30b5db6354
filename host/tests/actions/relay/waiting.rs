//! Requests that wait for a leader, and addresses that the relay waits for.

use std::time::Duration;

use soloist::http::PreflightError;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    time::timeout,
};

use super::standby_host::{GET, OK, StandbyHost, asked, leader};
use crate::rig::{PATIENCE, rest_of, until};

#[tokio::test]
async fn a_limited_number_of_requests_wait_and_the_others_are_refused_at_once() {
    let standby = StandbyHost::by(PATIENCE).await;
    let mut waiting = Vec::new();
    let mut refused = 0;
    while refused == 0 {
        let mut client = standby.send(GET).await;
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
    let mut other = other.connect(standby.address).await.unwrap();
    other.write_all(GET.as_bytes()).await.unwrap();
    let refusal = timeout(Duration::from_millis(100), other.read_u8()).await;
    assert!(refusal.is_err(), "it does not wait: {refusal:?}");
    waiting.insert(0, other);
    // Clients that leave make room, and the others are answered.
    waiting.truncate(1);
    let leader = leader().await;
    standby.follow(&leader, 1);
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
        while !rest_of(standby.send(GET).await).await.0.starts_with("HTTP/1.1 200 OK") {}
    };
    timeout(PATIENCE, welcome).await.expect("there is no room");
    answering.abort();
    standby.stop().await;
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_an_obstacle_until_it_can() {
    let holder = leader().await;
    let address = holder.local_addr().unwrap();
    let standby = StandbyHost::starting(PATIENCE, address, None);
    until("an obstacle", || standby.directory.preflight(&standby.action).is_err()).await;
    let failed = || {
        matches!(standby.directory.preflight(&standby.action), Err(PreflightError::Relay { .. }))
    };
    until("the relay's own reason", failed).await;
    let reason = standby.directory.preflight(&standby.action).unwrap_err().to_string();
    assert!(reason.contains(&address.to_string()), "{reason}");
    drop(holder);
    until("the address", || standby.directory.preflight(&standby.action).is_ok()).await;
    until("the address", || standby.directory.bound_address(&standby.action) == Some(address))
        .await;
    standby.stop().await;
}

/// The address that the leader advertises may be one that only other machines reach.
#[tokio::test]
async fn a_leader_that_is_not_reached_is_named_until_it_is() {
    let (standby, first) = (StandbyHost::by(Duration::from_millis(300)).await, leader().await);
    let unreached = standby.asked.unreached_leaders();
    let warnings = || unreached.warnings(standby.roster.borrow().as_ref().unwrap());
    let address = first.local_addr().unwrap();
    standby.follow(&first, 1);
    drop(first);
    let (answer, _) = rest_of(standby.send(GET).await).await;
    let named = format!("a does not reach the leader host-1 at http://{address}: ");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains(&named), "{answer}");
    assert!(warnings().len() == 1 && warnings()[0].starts_with(&named), "{:?}", warnings());

    let back = TcpListener::bind(address).await.unwrap();
    standby.follow(&back, 2);
    assert!(warnings().is_empty(), "another leads");
    standby.follow(&back, 1);
    assert_eq!(warnings().len(), 1);
    let client = standby.send(GET).await;
    let (mut hop, _) = asked(&back).await;
    hop.write_all(OK.as_bytes()).await.unwrap();
    drop(hop);
    let (answer, _) = rest_of(client).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && warnings().is_empty(), "{answer}");
    standby.stop().await;
}
