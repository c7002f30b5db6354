//! A connection that was upgraded from HTTP to another protocol: bytes in both directions.

use ::http::{Response, StatusCode};
use hyper::{
    body::Incoming,
    upgrade::{self, OnUpgrade},
};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use super::RelayContext;
use soloist_resources::shares::Share;

/// Copies bytes in both directions once both sides have switched protocols, until one of them
/// closes or the host stops. `slot` counts against the limit of relayed requests until then.
pub(super) fn open(
    context: &RelayContext,
    client: OnUpgrade,
    leader: &mut Response<Incoming>,
    slot: Option<Share>,
) {
    debug_assert_eq!(leader.status(), StatusCode::SWITCHING_PROTOCOLS);
    let leader = upgrade::on(leader);
    context.scope.spawn(async move {
        let _slot = slot;
        match tokio::try_join!(client, leader) {
            Ok((client, leader)) => {
                let (mut client, mut leader) = (TokioIo::new(client), TokioIo::new(leader));
                // If either side fails, dropping both streams closes the other one.
                let _ = copy_bidirectional(&mut client, &mut leader).await;
            }
            Err(error) => tracing::debug!(%error, "an upgrade failed"),
        }
    });
}
