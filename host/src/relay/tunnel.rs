//! A connection that has become something else than HTTP: bytes, both ways.

use ::http::{Response, StatusCode};
use hyper::{
    body::Incoming,
    upgrade::{self, OnUpgrade},
};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use super::RelayContext;
use soloist_resources::shares::Share;

/// Lets bytes through once both sides have switched, until one of them ends or the host
/// stops.
pub(super) fn open(
    shared: &RelayContext,
    client: OnUpgrade,
    leader: &mut Response<Incoming>,
    place: Option<Share>,
) {
    debug_assert_eq!(leader.status(), StatusCode::SWITCHING_PROTOCOLS);
    let leader = upgrade::on(leader);
    shared.tasks.spawn(async move {
        let _place = place;
        match tokio::try_join!(client, leader) {
            Ok((client, leader)) => {
                let (mut client, mut leader) = (TokioIo::new(client), TokioIo::new(leader));
                // Whoever breaks off, the other is told by the end.
                let _ = copy_bidirectional(&mut client, &mut leader).await;
            }
            Err(error) => tracing::debug!(%error, "an upgrade did not come about"),
        }
    });
}
