//! The network between the hosts and PostgreSQL is a black hole, in one direction or both.

use super::Rig;
use crate::harness::{
    postgres::{self, DATABASE},
    postgres_server::ROLE,
    proxy::{Hole, Proxy},
};

async fn a_hole_ends_the_term_in_time(hole: Hole) {
    let server = postgres::started();
    let proxy = Proxy::before(server.address.to_string()).await;
    let url = format!("postgres://{ROLE}@{}/{DATABASE}", proxy.endpoint());
    let rig = Rig::on(server, url).await;
    proxy.hole(hole);
    rig.is_lost("no answer in time").await;
    proxy.hole(Hole::None);
    rig.leads_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_ends_the_term_in_time() {
    a_hole_ends_the_term_in_time(Hole::Both).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_server_ends_the_term_in_time() {
    a_hole_ends_the_term_in_time(Hole::ToStore).await;
}

/// The server executes what it is sent, so leases live; but the hosts cannot know that.
#[tokio::test(flavor = "multi_thread")]
async fn a_mute_server_ends_the_term_in_time() {
    a_hole_ends_the_term_in_time(Hole::ToHost).await;
}

/// As a firewall that loses its table of connections: new connections work.
#[tokio::test(flavor = "multi_thread")]
async fn dead_connections_are_replaced() {
    let server = postgres::started();
    let proxy = Proxy::before(server.address.to_string()).await;
    let url = format!("postgres://{ROLE}@{}/{DATABASE}", proxy.endpoint());
    let rig = Rig::on(server, url).await;
    proxy.forget();
    // A call that was lost costs two fifths of the TTL, and opening a connection takes its time.
    rig.leads_on_or_again().await;
}
