//! `wasi:sockets`: connections and datagrams to the destinations in the settings (`sockets`).
//!
//! wasmtime implements the sockets; this module decides what is allowed. Invariants:
//! - A guest cannot choose a local address, listen or accept.
//! - An address is allowed if the settings name it, or if a name in the settings resolved to it in
//!   this instance. Only names in the settings are looked up, so a guest cannot pass data to a DNS
//!   server.
//! - The gate is passed before each lookup, connection and datagram, and at each write to and read
//!   from a connection.

mod gated_stream;
mod tcp_send;

use std::{
    collections::{BTreeSet, HashMap},
    future::ready,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use parking_lot::Mutex;
use tracing::warn;
use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource},
};
use wasmtime_wasi::{
    WasiCtx, WasiCtxBuilder,
    p2::{
        DynInputStream, DynOutputStream, Network, SocketError, SocketResult, TcpSocket,
        bindings::sockets::{
            ip_name_lookup::{Host as _, HostResolveAddressStream as _, ResolveAddressStream},
            network::{ErrorCode, IpAddress},
            tcp::HostTcpSocket as _,
        },
    },
    sockets::{SocketAddrUse, WasiSocketsCtx, WasiSocketsCtxView},
};

use super::{ActionAccess, GuestState, own_address, replace::replace};
use soloist_config::Transport;

/// The interfaces with replaced functions, in wasmtime's version.
const TCP: &str = "wasi:sockets/tcp@0.2.12";
const LOOKUP: &str = "wasi:sockets/ip-name-lookup@0.2.12";
/// The most resolved names that are remembered for an instance.
const FOUND_MAX: usize = 1024;

/// The context of the capability.
pub(crate) struct SocketsCtx {
    resolved: ResolvedNames,
    /// The names of running lookups, by the number of their resource.
    lookups: HashMap<u32, Arc<str>>,
}

/// The addresses that names resolved to in this instance.
#[derive(Clone, Debug, Default)]
struct ResolvedNames(Arc<Mutex<BTreeSet<ResolvedName>>>);

/// A name, and an address that it resolved to.
type ResolvedName = (Arc<str>, IpAddr);

/// The capability during one call.
pub(crate) struct SocketsView<'a> {
    pub ctx: &'a mut SocketsCtx,
    pub wasi: WasiSocketsCtxView<'a>,
    pub access: &'a Arc<ActionAccess>,
}

type SocketStreams = (Resource<DynInputStream>, Resource<DynOutputStream>);

impl SocketsCtx {
    /// The context of an instance; adds the address check to `wasi`.
    pub(crate) fn new(access: &Arc<ActionAccess>, wasi: &mut WasiCtxBuilder) -> Self {
        let found = ResolvedNames::default();
        let (access, asked) = (access.clone(), HashMap::new());
        let ctx = Self { resolved: found.clone(), lookups: asked };
        // Sockets are allowed even if nothing is granted, so that the check is called and can log
        // what was denied.
        wasi.allow_tcp(true).allow_udp(true).socket_addr_check(move |to, usage| {
            Box::pin(ready(allows(&access, &found, to, usage)))
        });
        ctx
    }
}

fn allows(
    access: &ActionAccess,
    found: &ResolvedNames,
    to: SocketAddr,
    usage: SocketAddrUse,
) -> bool {
    if access.gate().pass().is_err() {
        return false;
    }
    let transport = match usage {
        // The wildcard address, which outgoing sockets are bound to.
        SocketAddrUse::TcpBind | SocketAddrUse::UdpBind
            if to.ip().is_unspecified() && to.port() == 0 =>
        {
            return true;
        }
        SocketAddrUse::TcpBind
        | SocketAddrUse::UdpBind
        | SocketAddrUse::TcpListen
        | SocketAddrUse::TcpAccept => {
            warn_listen_denied(access, to);
            return false;
        }
        SocketAddrUse::TcpConnect => Transport::Tcp,
        SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => Transport::Udp,
    };
    let allowed = found.reaches(access, transport, to);
    // An incoming datagram is not the guest's doing, so it is not logged.
    if !allowed && !matches!(usage, SocketAddrUse::UdpReceive) {
        warn_destination_denied(access, transport, to, found.name_of(to.ip()).as_deref());
    }
    allowed
}

/// Logs that a guest may not connect or send to `to`. `looked_up` is a name that resolved to this
/// address.
fn warn_destination_denied(
    access: &ActionAccess,
    transport: Transport,
    to: SocketAddr,
    looked_up: Option<&str>,
) {
    let scheme = match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    let (name, port) = (&access.action, to.port());
    let grant = match looked_up {
        // The name is granted, but for another port or not for private addresses.
        Some(looked_up) => format!(
            "`sockets = [\"{scheme}://{looked_up}:{port}\"]` in [action.{name}] lets the plugin \
             reach {to} by that name, with `outbound_private = true` in a private network as well"
        ),
        None => format!(
            "`sockets = [\"{scheme}://{to}\"]` in [action.{name}] lets the plugin reach it, and \
             `sockets = [\"{scheme}://HOST:{port}\"]` whatever a name stands for"
        ),
    };
    warn_denied(access, &to.to_string(), &grant);
}

/// Logs that a guest may not listen at `to`; no setting allows it.
fn warn_listen_denied(access: &ActionAccess, to: SocketAddr) {
    let never = format!(
        "no setting lets a plugin listen at {to} or have an address of its own: requests come to \
         what it exports (`wasi:http/incoming-handler`, `soloist:plugin/task`)"
    );
    warn_denied(access, &format!("listen {to}"), &never);
}

/// Logs that a guest may not look up `host`. The port that it wants is not known.
fn warn_lookup_denied(access: &ActionAccess, host: &str) {
    let name = &access.action;
    let grant = format!(
        "`sockets = [\"tcp://{host}:PORT\"]` in [action.{name}] lets the plugin look up {host} and \
         connect to it"
    );
    warn_denied(access, host, &grant);
}

/// Logs once for each target, then with a count: a guest may try a thousand times a second.
fn warn_denied(access: &ActionAccess, to: &str, grant: &str) {
    access.sockets_denied.said(to, |told| {
        let what = format!("socket denied: {grant}{told}");
        warn!(action = %access.action, token = access.gate().term().token.0, to, "{what}");
        access.log.add_host_line(&what);
    });
}

impl ResolvedNames {
    fn add(&self, name: &Arc<str>, ip: IpAddr) {
        let mut found = self.0.lock();
        if found.len() < FOUND_MAX {
            found.insert((name.clone(), ip.to_canonical()));
        }
    }

    /// A name that resolved to `ip`.
    fn name_of(&self, ip: IpAddr) -> Option<Arc<str>> {
        let found = self.0.lock();
        let ip = ip.to_canonical();
        found.iter().find(|(_, other)| *other == ip).map(|(name, _)| Arc::clone(name))
    }

    fn reaches(&self, access: &ActionAccess, transport: Transport, to: SocketAddr) -> bool {
        let grants = &access.grants;
        let found = self.0.lock();
        let ip = to.ip().to_canonical();
        let names = || found.iter().filter(|(_, other)| *other == ip).map(|(name, _)| name);
        grants.sockets.iter().any(|grant| {
            grant.is_at(transport, to)
                || names().any(|name| {
                    grant.leads(
                        name,
                        transport,
                        to,
                        grants.outbound_private,
                        own_address::is_own_address,
                    )
                })
        })
    }
}

impl SocketsView<'_> {
    fn resolve(
        self,
        network: Resource<Network>,
        name: &str,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        let name: Arc<str> = name.to_ascii_lowercase().into();
        if self.access.gate().pass().is_err() {
            return Err(ErrorCode::AccessDenied.into());
        }
        if !self.access.grants.sockets.iter().any(|grant| grant.names(&name)) {
            warn_lookup_denied(self.access, &name);
            return Err(ErrorCode::AccessDenied.into());
        }
        let mut lookup = lookup_ctx();
        let mut wasi = WasiSocketsCtxView { ctx: &mut lookup, table: self.wasi.table };
        let asked =
            self.access.blocking.enter(|| wasi.resolve_addresses(network, name.to_string()));
        let stream = asked.map_err(|_| ErrorCode::TemporaryResolverFailure)??;
        self.ctx.lookups.insert(stream.rep(), name);
        Ok(stream)
    }

    fn next_address(
        mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        let name = self.ctx.lookups.get(&stream.rep()).cloned();
        let address = self.wasi.resolve_next_address(stream)?;
        if let (Some(name), Some(address)) = (&name, &address) {
            self.ctx.resolved.add(name, to_ip_addr(*address));
        }
        Ok(address)
    }

    /// Puts the gate in front of the streams of a connection.
    fn finish_connect(mut self, socket: Resource<TcpSocket>) -> SocketResult<SocketStreams> {
        let (input, output) = self.wasi.finish_connect(socket)?;
        let gate = self.access.gate();
        gated_stream::gate_input(self.wasi.table.get_mut(&input)?, gate);
        gated_stream::gate_output(self.wasi.table.get_mut(&output)?, gate);
        Ok((input, output))
    }
}

/// A context that may look up names. The guest's own context may not, since WASI cannot allow
/// single names.
fn lookup_ctx() -> WasiSocketsCtx {
    WasiCtx::builder().allow_ip_name_lookup(true).build().sockets().clone()
}

fn to_ip_addr(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => [a, b, c, d].into(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => [a, b, c, d, e, f, g, h].into(),
    }
}

/// The result as the guest sees it. An error that is not an error code traps.
fn to_guest<T>(done: SocketResult<T>) -> wasmtime::Result<(Result<T, ErrorCode>,)> {
    match done {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(SocketError::downcast(error)?),)),
    }
}

/// Adds the gate to WASI 0.3: there name lookup is denied altogether, the address check covers
/// connecting, and only sending has to be replaced.
pub(crate) fn add_0_3_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    tcp_send::add_to_linker(linker)
}

/// Replaces the three functions of WASI 0.2 that must pass the gate.
pub(crate) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    replace(
        linker,
        TCP,
        "[method]tcp-socket.finish-connect",
        |mut store: StoreContextMut<'_, GuestState>, (socket,): (Resource<TcpSocket>,)| {
            to_guest(store.data_mut().sockets().finish_connect(socket))
        },
    )?;
    replace(
        linker,
        LOOKUP,
        "resolve-addresses",
        |mut store: StoreContextMut<'_, GuestState>,
         (network, name): (Resource<Network>, String)| {
            to_guest(store.data_mut().sockets().resolve(network, &name))
        },
    )?;
    replace(
        linker,
        LOOKUP,
        "[method]resolve-address-stream.resolve-next-address",
        |mut store: StoreContextMut<'_, GuestState>,
         (stream,): (Resource<ResolveAddressStream>,)| {
            to_guest(store.data_mut().sockets().next_address(stream))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_before_nothing_is_an_error() {
        let engine = wasmtime::Engine::default();
        let mut linker = Linker::new(&engine);
        assert!(add_to_linker(&mut linker).is_err(), "there is nothing of wasmtime's yet");
        let mut linker = Linker::new(&engine);
        crate::capability::wasi::add_to_linker(&mut linker).unwrap();
        add_to_linker(&mut linker).unwrap();
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
