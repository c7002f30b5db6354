//! What tells the listeners of actions apart.

use std::{net::SocketAddr, sync::Arc};

use super::prepared_action::Action;
use soloist_config::{ActionConfig, TlsFiles};

/// What tells listeners apart: address, TLS files, and for port 0 the action, since each action
/// that asks for port 0 gets a port of its own.
pub(crate) type ListenerKey = (SocketAddr, Option<Arc<TlsFiles>>, Option<Arc<str>>);

/// The key of the address of `action`.
pub(crate) fn listener_key(action: &Action) -> ListenerKey {
    let ActionConfig { name, listen, tls, .. } = action.config();
    (*listen, tls.clone(), (listen.port() == 0).then(|| Arc::clone(name)))
}
