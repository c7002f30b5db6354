//! `wasi:sockets`: connections and datagrams to the destinations in the settings (`sockets`).
//!
//! wasmtime implements the sockets; this module decides what is allowed. Invariants:
//! - A guest cannot choose a local address, listen or accept.
//! - An address is allowed if the settings name it, or if a name in the settings resolved to it in
//!   this instance. Only names in the settings are looked up, so a guest cannot pass data to a DNS
//!   server.
//! - The gate is passed before each lookup, connection and datagram, and at each write to and read
//!   from a connection.

mod denials;
mod gated_stream;
mod resolved_names;
mod tcp_send;
mod view;

use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource},
};
use wasmtime_wasi::{
    WasiView,
    p2::{
        Network, SocketError, SocketResult, TcpSocket,
        bindings::sockets::{ip_name_lookup::ResolveAddressStream, network::ErrorCode},
    },
};

use super::replace::replace;
pub(crate) use view::{SocketsCtx, SocketsView};

/// The interfaces with replaced functions, in wasmtime's version.
const TCP: &str = "wasi:sockets/tcp@0.2.12";
const LOOKUP: &str = "wasi:sockets/ip-name-lookup@0.2.12";
/// The result as the guest sees it. An error that is not an error code traps.
fn to_guest<T>(done: SocketResult<T>) -> wasmtime::Result<(Result<T, ErrorCode>,)> {
    match done {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(SocketError::downcast(error)?),)),
    }
}

/// Adds the gate to WASI 0.3: there name lookup is denied altogether, the address check covers
/// connecting, and only sending has to be replaced.
pub(crate) fn add_0_3_to_linker<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> SocketsView<'_>,
) -> wasmtime::Result<()> {
    tcp_send::add_to_linker(linker, view)
}

/// Replaces the three functions of WASI 0.2 that must pass the gate.
pub(crate) fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> SocketsView<'_>,
) -> wasmtime::Result<()> {
    replace(
        linker,
        TCP,
        "[method]tcp-socket.finish-connect",
        move |mut store: StoreContextMut<'_, T>, (socket,): (Resource<TcpSocket>,)| {
            to_guest(view(store.data_mut()).finish_connect(socket))
        },
    )?;
    replace(
        linker,
        LOOKUP,
        "resolve-addresses",
        move |mut store: StoreContextMut<'_, T>, (network, name): (Resource<Network>, String)| {
            to_guest(view(store.data_mut()).resolve(network, &name))
        },
    )?;
    replace(
        linker,
        LOOKUP,
        "[method]resolve-address-stream.resolve-next-address",
        move |mut store: StoreContextMut<'_, T>, (stream,): (Resource<ResolveAddressStream>,)| {
            to_guest(view(store.data_mut()).next_address(stream))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::GuestState;

    #[test]
    fn a_gate_before_nothing_is_an_error() {
        let engine = wasmtime::Engine::default();
        let mut linker = Linker::new(&engine);
        assert!(
            add_to_linker(&mut linker, GuestState::sockets).is_err(),
            "there is nothing of wasmtime's yet"
        );
        let mut linker = Linker::new(&engine);
        crate::capability::wasi::add_to_linker(&mut linker).unwrap();
        add_to_linker(&mut linker, GuestState::sockets).unwrap();
        // Simulates an update of wasmtime.
        let gate = |_: StoreContextMut<'_, GuestState>, (): ()| Ok(());
        for (interface, name) in [
            ("wasi:sockets/tcp@0.2.13", "[method]tcp-socket.finish-connect"),
            (TCP, "[method]tcp-socket.finish"),
        ] {
            let error = replace(&mut linker, interface, name, gate).unwrap_err();
            assert!(error.to_string().contains("to put a gate before"), "{error}");
        }
    }
}
