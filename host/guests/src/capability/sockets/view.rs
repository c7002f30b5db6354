//! The sockets of one instance: what they may do, decided at each call.

use std::{
    collections::HashMap,
    future::ready,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use wasmtime::component::Resource;
use wasmtime_wasi::{
    WasiCtx, WasiCtxBuilder,
    p2::{
        DynInputStream, DynOutputStream, Network, SocketResult, TcpSocket,
        bindings::sockets::{
            ip_name_lookup::{Host as _, HostResolveAddressStream as _, ResolveAddressStream},
            network::{ErrorCode, IpAddress},
            tcp::HostTcpSocket as _,
        },
    },
    sockets::{SocketAddrUse, WasiSocketsCtx, WasiSocketsCtxView},
};

use super::{
    denials::{warn_destination_denied, warn_listen_denied, warn_lookup_denied},
    gated_stream,
    resolved_names::ResolvedNames,
};
use crate::capability::ActionAccess;
use soloist_config::Transport;

/// The context of the capability.
pub(crate) struct SocketsCtx {
    resolved: ResolvedNames,
    /// The names of running lookups, by the number of their resource.
    lookups: HashMap<u32, Arc<str>>,
}

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
        let resolved = ResolvedNames::default();
        let (access, lookups) = (access.clone(), HashMap::new());
        let ctx = Self { resolved: resolved.clone(), lookups };
        // Sockets are allowed even if nothing is granted, so that the check is called and can log
        // what was denied.
        wasi.allow_tcp(true).allow_udp(true).socket_addr_check(move |to, usage| {
            Box::pin(ready(allows(&access, &resolved, to, usage)))
        });
        ctx
    }
}

fn allows(
    access: &ActionAccess,
    resolved: &ResolvedNames,
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
    let allowed = resolved.reaches(access, transport, to);
    // An incoming datagram is not the guest's doing, so it is not logged.
    if !allowed && !matches!(usage, SocketAddrUse::UdpReceive) {
        warn_destination_denied(access, transport, to, resolved.name_of(to.ip()).as_deref());
    }
    allowed
}

impl SocketsView<'_> {
    /// Starts to look up `name`, if the settings name it.
    pub(super) fn resolve(
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
        let started =
            self.access.blocking.enter(|| wasi.resolve_addresses(network, name.to_string()));
        let stream = started.map_err(|_| ErrorCode::TemporaryResolverFailure)??;
        self.ctx.lookups.insert(stream.rep(), name);
        Ok(stream)
    }

    /// The next address of a lookup, which is reachable from now on.
    pub(super) fn next_address(
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
    pub(super) fn finish_connect(
        mut self,
        socket: Resource<TcpSocket>,
    ) -> SocketResult<SocketStreams> {
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
