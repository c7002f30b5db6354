//! Accepts the connections of an address.

use std::time::Duration;

use rustix::net::sockopt;
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

use super::{
    connection::Connection, connection_context::ConnectionContext, limits::ACCEPT_PAUSE,
    request_handler::RequestHandler,
};
use soloist_telemetry::log_throttle::LogThrottle;

/// Accepts connections until the address is closed; the connections themselves go on.
pub(crate) async fn accept_all<A: RequestHandler>(
    listener: &TcpListener,
    context: &ConnectionContext<A>,
) {
    let trouble = LogThrottle::default();
    let next = || async {
        context.slots.wait_for_closing().await;
        listener.accept().await
    };
    while let Some(accepted) = context.closing.run_until_cancelled(next()).await {
        match accepted {
            Ok((stream, peer)) => {
                trouble.recovered(|told| tracing::info!("connections are accepted again{told}"));
                // A client over its limit finds the connection closed and may try again.
                if let Some(slot) = context.slots.acquire(peer.ip()) {
                    set_socket_options(&stream, context.client_timeout);
                    let context = context.clone();
                    let scope = context.scope.clone();
                    scope.spawn_cancellable(|cut| {
                        Connection::new(context, &stream, peer, slot, cut).serve(stream)
                    });
                }
            }
            Err(error) => {
                trouble.report(|told| {
                    tracing::warn!(%error, "cannot accept a connection{told}");
                });
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Sends small pieces at once, and has the kernel break off a connection whose client reads nothing
/// for `timeout`, even if it reads too little to make room for more (tcp(7): `TCP_USER_TIMEOUT`).
/// Both calls fail only on a connection that is broken already.
fn set_socket_options(stream: &TcpStream, timeout: Duration) {
    let _ = stream.set_nodelay(true);
    let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    let _ = sockopt::set_tcp_user_timeout(stream, milliseconds);
}
