//! Binding addresses: whether an address can be had, and listening on it.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    net::{TcpListener, TcpSocket},
    time::{sleep, timeout},
};

use super::limits::{BACKLOG, BIND_RETRY_PAUSE, BIND_TIMEOUT};

/// Why an action could not be started now.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// Another socket listens there. It may be the leader's, if that is on this machine.
    #[error(
        "action {action}: {address} is in use: end the program that listens there, or set another `listen`; a leader on this machine lets go when its term ends"
    )]
    AddressInUse {
        /// The action.
        action: Arc<str>,
        /// Its address.
        address: SocketAddr,
    },
    /// Every host listens there, and this one cannot.
    #[error("action {action}: {reason}")]
    Relay {
        /// The action.
        action: Arc<str>,
        /// Why not, and what to do about it.
        reason: String,
    },
    /// This host can never listen there.
    #[error(
        "action {action}: cannot listen on {address}: set `listen` to an address of this machine, and to a port that this user may open"
    )]
    Impossible {
        /// The action.
        action: Arc<str>,
        /// Its address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// Binds the address without listening, so that no client connects.
pub(crate) fn check_address(action: &Arc<str>, address: SocketAddr) -> Result<(), PreflightError> {
    match bind(address) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(PreflightError::AddressInUse { action: action.clone(), address })
        }
        Err(source) => Err(PreflightError::Impossible { action: action.clone(), address, source }),
    }
}

/// Listens. If the address is in use, calls `waiting` once and tries again for up to
/// [`BIND_TIMEOUT`].
pub(super) async fn listen(address: SocketAddr, waiting: impl Fn()) -> io::Result<TcpListener> {
    match try_listen(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => waiting(),
        done => return done,
    }
    let retry = async {
        loop {
            sleep(BIND_RETRY_PAUSE).await;
            match try_listen(address) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                done => return done,
            }
        }
    };
    timeout(BIND_TIMEOUT, retry).await.unwrap_or_else(|_| Err(io::ErrorKind::AddrInUse.into()))
}

fn try_listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address)?.listen(BACKLOG)
}

/// With SO_REUSEADDR, connections of an earlier term that linger in the kernel do not block the
/// address; another listener does.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn any_port() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    #[tokio::test]
    async fn tells_in_use_from_impossible() {
        let action = Arc::from("web");
        let holder = try_listen(any_port()).unwrap();
        let held = holder.local_addr().unwrap();
        assert!(matches!(check_address(&action, held), Err(PreflightError::AddressInUse { .. })));
        drop(holder);
        check_address(&action, held).unwrap();
        // TEST-NET-1 belongs to no machine.
        let foreign = ([192, 0, 2, 1], 80).into();
        assert!(matches!(check_address(&action, foreign), Err(PreflightError::Impossible { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_an_address_but_not_for_ever() {
        let holder = try_listen(any_port()).unwrap();
        let held = holder.local_addr().unwrap();
        let waited = Cell::new(0);
        let error = listen(held, || waited.set(waited.get() + 1)).await.unwrap_err();
        assert_eq!((error.kind(), waited.get()), (io::ErrorKind::AddrInUse, 1));

        let letting_go = async {
            sleep(BIND_TIMEOUT / 2).await;
            drop(holder);
        };
        let (listener, ()) = tokio::join!(listen(held, || {}), letting_go);
        assert_eq!(listener.unwrap().local_addr().unwrap(), held);
    }
}
