//! An address under a term: opened, listened on by all actions there, and let go.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::sleep,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Tasks,
    connection::{self, Hall},
    limits::{ACCEPT_PAUSE, CONNECTIONS},
    listen,
    routes::{Route, Routes},
};
use crate::capability::Gate;

/// How far the opening of an address has come.
#[derive(Clone, Debug)]
pub(super) enum Opening {
    /// It has just begun.
    Begun,
    /// Somebody else is there still.
    Waiting(String),
    /// It is listened on.
    Open(SocketAddr),
    /// It cannot be had.
    Failed(String),
}

/// To follow an opening.
pub(super) type Opened = watch::Receiver<Opening>;

/// An address that is listened on.
pub(super) struct Door {
    hall: Hall,
    opened: Opened,
    closed: CancellationToken,
}

impl Door {
    /// Starts to listen on `address`, if need be with TLS; `tasks` own all that happens there.
    pub(super) fn open(
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        gate: &Arc<Gate>,
        tasks: &Tasks,
    ) -> Self {
        let hall = Hall {
            tls,
            routes: Routes::new(Arc::clone(gate)).into(),
            closing: CancellationToken::new(),
            tasks: tasks.child(),
        };
        let (outcome, opened) = watch::channel(Opening::Begun);
        let closed = CancellationToken::new();
        let guard = closed.clone().drop_guard();
        hall.tasks.spawn(serve(address, hall.clone(), outcome, guard));
        Self { hall, opened, closed }
    }

    /// Who answers here.
    pub(super) fn route(&self, routes: Vec<Route>) {
        self.hall.routes.set(routes);
    }

    /// To learn whether it could be opened.
    pub(super) fn opened(&self) -> Opened {
        self.opened.clone()
    }

    /// Lets go of the address, and waits until that is done. Connections go on until
    /// nothing of them is in flight.
    pub(super) async fn close(&self) {
        self.hall.closing.cancel();
        self.closed.cancelled().await;
    }

    /// Waits for the end of all connections, after [`Door::close`].
    pub(super) async fn join(&self) {
        self.hall.tasks.join().await;
    }
}

/// The task that holds the address. Whichever way it ends, `_closed` is dropped
/// after the listener, and tells that the address is free.
async fn serve(
    address: SocketAddr,
    hall: Hall,
    outcome: watch::Sender<Opening>,
    _closed: DropGuard,
) {
    let opened = hall.closing.run_until_cancelled(open(address, &outcome)).await;
    match opened {
        Some(Ok((listener, bound))) => {
            outcome.send_replace(Opening::Open(bound));
            accept_all(&listener, &hall).await;
        }
        Some(Err(reason)) => {
            outcome.send_replace(Opening::Failed(reason));
        }
        None => {}
    }
}

/// Opens the address, or says why not.
async fn open(
    address: SocketAddr,
    outcome: &watch::Sender<Opening>,
) -> Result<(TcpListener, SocketAddr), String> {
    let waiting = || {
        outcome.send_replace(Opening::Waiting(format!("{address} is still in use, by the former leader on this machine or by another program: it should let go of it")));
    };
    let opened = async {
        let listener = listen::listen(address, waiting).await?;
        let bound = listener.local_addr()?;
        Ok((listener, bound))
    };
    opened.await.map_err(|error: std::io::Error| {
        format!(
            "cannot listen on {address}: {error}; end what listens there, or set another `listen`"
        )
    })
}

/// Accepts until the address is to be let go; the connections live on.
async fn accept_all(listener: &TcpListener, hall: &Hall) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let next = async || {
        let place = places.clone().acquire_owned().await;
        (place, listener.accept().await)
    };
    while let Some((place, accepted)) = hall.closing.run_until_cancelled(next()).await {
        match accepted {
            Ok((stream, _)) => {
                let own = hall.clone();
                hall.tasks.spawn_told(|cut| async move {
                    connection::serve(stream, own, cut).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
