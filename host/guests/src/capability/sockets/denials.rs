//! Log lines about what a guest may not do with sockets, and which setting would allow it.

use std::net::SocketAddr;

use tracing::warn;

use crate::capability::ActionAccess;
use soloist_config::Transport;

/// Logs that a guest may not connect or send to `to`. `looked_up` is a name that resolved to this
/// address.
pub(super) fn warn_destination_denied(
    access: &ActionAccess,
    transport: Transport,
    to: SocketAddr,
    looked_up: Option<&str>,
) {
    let scheme = match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    let (place, port) = (&access.grants.written_in, to.port());
    let grant = match looked_up {
        // The name is granted, but for another port or not for private addresses.
        Some(looked_up) => format!(
            "`sockets = [\"{scheme}://{looked_up}:{port}\"]` in {place} lets the plugin \
             reach {to} by that name, with `outbound_private = true` in a private network as well"
        ),
        None => format!(
            "`sockets = [\"{scheme}://{to}\"]` in {place} lets the plugin reach it, and \
             `sockets = [\"{scheme}://HOST:{port}\"]` whatever a name stands for"
        ),
    };
    warn_denied(access, &to.to_string(), &grant);
}

/// Logs that a guest may not listen at `to`; no setting allows it.
pub(super) fn warn_listen_denied(access: &ActionAccess, to: SocketAddr) {
    let never = format!(
        "no setting lets a plugin listen at {to} or have an address of its own: requests come to \
         what it exports (`wasi:http/incoming-handler`, `soloist:plugin/task`)"
    );
    warn_denied(access, &format!("listen {to}"), &never);
}

/// Logs that a guest may not look up `host`. The port that it wants is not known.
pub(super) fn warn_lookup_denied(access: &ActionAccess, host: &str) {
    let place = &access.grants.written_in;
    let grant = format!(
        "`sockets = [\"tcp://{host}:PORT\"]` in {place} lets the plugin look up {host} and \
         connect to it"
    );
    warn_denied(access, host, &grant);
}

/// Logs once for each target, then with a count: a guest may try a thousand times a second.
fn warn_denied(access: &ActionAccess, to: &str, grant: &str) {
    access.sockets_denied.report_text(to, |repeats| {
        let what = format!("socket denied: {grant}{repeats}");
        warn!(action = %access.action, fencing_token = access.gate().term().fencing_token.0, to, "{what}");
        access.log.add_host_line(&what);
    });
    access.log.note_denial(format!("socket denied: {grant}"));
}
