//! What every connection to one address works with.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::connection_slots::ConnectionSlots;
use crate::task_scope::TaskScope;
use soloist_tls::ReloadingAcceptor;

/// What every connection to one address works with.
pub(crate) struct ConnectionContext<A> {
    /// Answers the requests.
    pub(crate) handler: Arc<A>,
    /// Accepts connections, if the address uses TLS.
    pub(crate) tls: Option<ReloadingAcceptor>,
    /// Cancelled when the address is closed: idle connections then end.
    pub(crate) closing: CancellationToken,
    /// Owns the connections, and the streams of HTTP/2.
    pub(crate) scope: TaskScope,
    /// The open connections.
    pub(crate) slots: Arc<ConnectionSlots>,
    /// How many requests one HTTP/2 connection may have open at a time.
    pub(crate) max_streams: u32,
    /// How many headers a request over HTTP/1 may have, if that differs from hyper's limit (100).
    pub(crate) max_headers: Option<usize>,
    /// How long a client may take for the head of a request, be idle before it, or read nothing of
    /// a response.
    pub(crate) client_timeout: Duration,
}

impl<A> Clone for ConnectionContext<A> {
    fn clone(&self) -> Self {
        Self {
            handler: Arc::clone(&self.handler),
            tls: self.tls.clone(),
            closing: self.closing.clone(),
            scope: self.scope.clone(),
            slots: Arc::clone(&self.slots),
            max_streams: self.max_streams,
            max_headers: self.max_headers,
            client_timeout: self.client_timeout,
        }
    }
}
