//! A listening address: opened, shared by all actions there, and closed.

use std::{net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::watch, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    accept::accept_all,
    bind,
    connection_context::ConnectionContext,
    connection_slots::ConnectionSlots,
    limits::{BIND_AGAIN_PAUSE, CLIENT_TIMEOUT, CONNECTIONS, HTTP2_STREAMS},
    request_handler::RequestHandler,
};
use crate::task_scope::TaskScope;
use soloist_tls::ReloadingAcceptor;

/// How far the opening of an address has come.
#[derive(Clone, Debug, Default)]
pub(crate) enum ListenerState {
    /// It has just started.
    #[default]
    Starting,
    /// The address is still in use by another socket.
    Waiting(String),
    /// The address is being listened on.
    Open(SocketAddr),
    /// The address cannot be had.
    Failed(String),
}

/// Follows the state of a listener.
pub(crate) type ListenerWatch = watch::Receiver<ListenerState>;

/// An address that is listened on.
pub(crate) struct AddressListener<A> {
    context: ConnectionContext<A>,
    state: ListenerWatch,
    closed: CancellationToken,
}

/// How an address is listened on.
pub(crate) struct ListenerOptions {
    /// The address.
    pub(crate) address: SocketAddr,
    /// Accepts connections, if the address uses TLS.
    pub(crate) tls: Option<ReloadingAcceptor>,
    /// Whether an address that cannot be had is tried again.
    pub(crate) retry: BindRetry,
    /// Receives the state of the listener.
    pub(crate) outcome: watch::Sender<ListenerState>,
}

/// Whether an address that cannot be had is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindRetry {
    /// It is given up.
    Never,
    /// It is tried again and again, once a second.
    Forever,
}

impl<A: RequestHandler> AddressListener<A> {
    /// Starts to listen. All tasks belong to `scope`, and the requests go to `handler`.
    pub(crate) fn open(options: ListenerOptions, handler: Arc<A>, scope: &TaskScope) -> Self {
        let ListenerOptions { address, tls, retry, outcome } = options;
        let context = ConnectionContext {
            handler,
            tls,
            closing: CancellationToken::new(),
            scope: scope.child(),
            slots: ConnectionSlots::for_address(CONNECTIONS),
            max_streams: HTTP2_STREAMS,
            max_headers: None,
            client_timeout: CLIENT_TIMEOUT,
        };
        let state = outcome.subscribe();
        let closed = CancellationToken::new();
        let guard = closed.clone().drop_guard();
        context.scope.spawn(hold_address(address, context.clone(), retry, outcome, guard));
        Self { context, state, closed }
    }

    /// The handler of the requests.
    pub(crate) fn handler(&self) -> &A {
        &self.context.handler
    }

    /// Follows the state of the listener.
    pub(crate) fn watch_state(&self) -> ListenerWatch {
        self.state.clone()
    }

    /// Whether the address could not be opened and is not tried again.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(*self.state.borrow(), ListenerState::Failed(_))
    }

    /// Closes the listening socket and waits until the address is free. Connections go on until
    /// nothing is in flight on them.
    pub(crate) async fn close(&self) {
        self.context.closing.cancel();
        self.closed.cancelled().await;
    }

    /// Waits for the end of all connections, after [`AddressListener::close`].
    pub(crate) async fn join(&self) {
        self.context.scope.join().await;
    }
}

/// The task that holds the address. Whichever way it ends, `_closed` is dropped after the listening
/// socket, which tells that the address is free.
async fn hold_address<A: RequestHandler>(
    address: SocketAddr,
    context: ConnectionContext<A>,
    retry: BindRetry,
    outcome: watch::Sender<ListenerState>,
    _closed: DropGuard,
) {
    let mut warned = false;
    while let Some(opened) = context.closing.run_until_cancelled(open(address, &outcome)).await {
        match opened {
            Ok((listener, bound)) => {
                outcome.send_replace(ListenerState::Open(bound));
                return accept_all(&listener, &context).await;
            }
            Err(reason) if retry == BindRetry::Forever => {
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!(%address, reason, "an address cannot be opened yet");
                }
                outcome.send_replace(ListenerState::Failed(reason));
                let _ = context.closing.run_until_cancelled(sleep(BIND_AGAIN_PAUSE)).await;
            }
            Err(reason) => {
                outcome.send_replace(ListenerState::Failed(reason));
                return;
            }
        }
    }
}

/// Opens the address, or says why that failed.
async fn open(
    address: SocketAddr,
    outcome: &watch::Sender<ListenerState>,
) -> Result<(TcpListener, SocketAddr), String> {
    let waiting = || {
        // A retry does not hide that the address has already failed.
        if matches!(*outcome.borrow(), ListenerState::Failed(_)) {
            return;
        }
        outcome.send_replace(ListenerState::Waiting(format!(
            "{address} is still in use, by the \
         former leader on this machine or by another program; waiting until it is free"
        )));
    };
    let opened = async {
        let listener = bind::listen(address, waiting).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    opened.await.map_err(|error: std::io::Error| {
        format!(
            "cannot listen on {address}: {error}; end what listens there, or set another `listen`"
        )
    })
}
