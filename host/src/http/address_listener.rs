//! A listening address: opened, shared by all actions there, and closed.

use std::{net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::watch, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    bind,
    connection::{self},
    connection_context::ConnectionContext,
    connection_slots::ConnectionSlots,
    limits::{ADDRESS_AGAIN, CONNECTIONS, REQUEST_HEAD, STREAMS},
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

/// Whether an address that cannot be had is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindRetry {
    /// It is given up.
    Never,
    /// It is tried again and again, once a second.
    Forever,
}

impl<A: RequestHandler> AddressListener<A> {
    /// Starts to listen on `address`, with TLS if that is given. All tasks belong to `tasks`, and
    /// the state is reported to `outcome`.
    pub(crate) fn open(
        address: SocketAddr,
        tls: Option<ReloadingAcceptor>,
        answers: Arc<A>,
        tasks: &TaskScope,
        persistence: BindRetry,
        outcome: watch::Sender<ListenerState>,
    ) -> Self {
        let (closing, tasks) = (CancellationToken::new(), tasks.child());
        let (places, streams) = (ConnectionSlots::for_address(CONNECTIONS), STREAMS);
        let patience = REQUEST_HEAD;
        let (routes, headers) = (answers, None);
        let context = ConnectionContext {
            tls,
            handler: routes,
            closing,
            tasks,
            slots: places,
            max_streams: streams,
            headers,
            client_timeout: patience,
        };
        let state = outcome.subscribe();
        let closed = CancellationToken::new();
        let guard = closed.clone().drop_guard();
        context.tasks.spawn(hold_address(address, context.clone(), persistence, outcome, guard));
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
        self.context.tasks.join().await;
    }
}

/// The task that holds the address. Whichever way it ends, `_closed` is dropped after the listening
/// socket, which tells that the address is free.
async fn hold_address<A: RequestHandler>(
    address: SocketAddr,
    hall: ConnectionContext<A>,
    persistence: BindRetry,
    outcome: watch::Sender<ListenerState>,
    _closed: DropGuard,
) {
    let mut told = false;
    while let Some(opened) = hall.closing.run_until_cancelled(open(address, &outcome)).await {
        match opened {
            Ok((listener, bound)) => {
                outcome.send_replace(ListenerState::Open(bound));
                return connection::accept_all(&listener, &hall).await;
            }
            Err(reason) if persistence == BindRetry::Forever => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%address, reason, "an address cannot be opened yet");
                }
                outcome.send_replace(ListenerState::Failed(reason));
                let _ = hall.closing.run_until_cancelled(sleep(ADDRESS_AGAIN)).await;
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
        outcome.send_replace(ListenerState::Waiting(format!("{address} is still in use, by the former leader on this machine or by another program: it should let go of it")));
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
