//! An address under a term: opened, listened on by all actions there, and let go.

use std::{net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, sync::watch, time::sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Tasks,
    connection::{self, Answers, Hall},
    limits::{ADDRESS_AGAIN, CONNECTIONS, REQUEST_HEAD, STREAMS},
    listen,
    places::Places,
};
use soloist_tls::Acceptor;

/// How far the opening of an address has come.
#[derive(Clone, Debug, Default)]
pub(crate) enum Opening {
    /// It has just begun.
    #[default]
    Begun,
    /// Somebody else is there still.
    Waiting(String),
    /// It is listened on.
    Open(SocketAddr),
    /// It cannot be had.
    Failed(String),
}

/// To follow an opening.
pub(crate) type Opened = watch::Receiver<Opening>;

/// An address that is listened on.
pub(crate) struct Door<A> {
    hall: Hall<A>,
    opened: Opened,
    closed: CancellationToken,
}

/// What becomes of an address that cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// It is given up.
    Once,
    /// It is tried for again and again.
    Endless,
}

impl<A: Answers> Door<A> {
    /// Starts to listen on `address`, if need be with TLS; `tasks` own all that happens there,
    /// and `outcome` is told how far that is.
    pub(crate) fn open(
        address: SocketAddr,
        tls: Option<Acceptor>,
        answers: Arc<A>,
        tasks: &Tasks,
        persistence: Persistence,
        outcome: watch::Sender<Opening>,
    ) -> Self {
        let (closing, tasks) = (CancellationToken::new(), tasks.child());
        let (places, streams) = (Places::of_address(CONNECTIONS), STREAMS);
        let patience = REQUEST_HEAD;
        let (routes, headers) = (answers, None);
        let hall = Hall { tls, routes, closing, tasks, places, streams, headers, patience };
        let opened = outcome.subscribe();
        let closed = CancellationToken::new();
        let guard = closed.clone().drop_guard();
        hall.tasks.spawn(serve(address, hall.clone(), persistence, outcome, guard));
        Self { hall, opened, closed }
    }

    /// Who answers here.
    pub(crate) fn answers(&self) -> &A {
        &self.hall.routes
    }

    /// To learn whether it could be opened.
    pub(crate) fn opened(&self) -> Opened {
        self.opened.clone()
    }

    /// Whether it could not be opened, and is not tried for again.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(*self.opened.borrow(), Opening::Failed(_))
    }

    /// Lets go of the address, and waits until that is done. Connections go on until
    /// nothing of them is in flight.
    pub(crate) async fn close(&self) {
        self.hall.closing.cancel();
        self.closed.cancelled().await;
    }

    /// Waits for the end of all connections, after [`Door::close`].
    pub(crate) async fn join(&self) {
        self.hall.tasks.join().await;
    }
}

/// The task that holds the address. Whichever way it ends, `_closed` is dropped
/// after the listener, and tells that the address is free.
async fn serve<A: Answers>(
    address: SocketAddr,
    hall: Hall<A>,
    persistence: Persistence,
    outcome: watch::Sender<Opening>,
    _closed: DropGuard,
) {
    let mut told = false;
    while let Some(opened) = hall.closing.run_until_cancelled(open(address, &outcome)).await {
        match opened {
            Ok((listener, bound)) => {
                outcome.send_replace(Opening::Open(bound));
                return connection::accept_all(&listener, &hall).await;
            }
            Err(reason) if persistence == Persistence::Endless => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%address, reason, "an address cannot be opened yet");
                }
                outcome.send_replace(Opening::Failed(reason));
                let _ = hall.closing.run_until_cancelled(sleep(ADDRESS_AGAIN)).await;
            }
            Err(reason) => {
                outcome.send_replace(Opening::Failed(reason));
                return;
            }
        }
    }
}

/// Opens the address, or says why not.
async fn open(
    address: SocketAddr,
    outcome: &watch::Sender<Opening>,
) -> Result<(TcpListener, SocketAddr), String> {
    let waiting = || {
        // What is known to have failed has not begun anew.
        if matches!(*outcome.borrow(), Opening::Failed(_)) {
            return;
        }
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
