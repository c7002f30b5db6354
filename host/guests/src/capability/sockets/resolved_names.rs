//! The addresses that names resolved to, and which destinations they make reachable.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use parking_lot::Mutex;

use crate::capability::{ActionAccess, own_address};
use soloist_config::Transport;

/// The most resolved names that are remembered for an instance.
const NAMES_MAX: usize = 1024;

/// The addresses that names resolved to in this instance.
#[derive(Clone, Debug, Default)]
pub(super) struct ResolvedNames(Arc<Mutex<BTreeSet<ResolvedName>>>);

/// A name, and an address that it resolved to.
type ResolvedName = (Arc<str>, IpAddr);

impl ResolvedNames {
    /// Remembers that `name` has resolved to `ip`.
    pub(super) fn add(&self, name: &Arc<str>, ip: IpAddr) {
        let mut resolved = self.0.lock();
        if resolved.len() < NAMES_MAX {
            resolved.insert((name.clone(), ip.to_canonical()));
        }
    }

    /// A name that resolved to `ip`.
    pub(super) fn name_of(&self, ip: IpAddr) -> Option<Arc<str>> {
        let resolved = self.0.lock();
        let ip = ip.to_canonical();
        resolved.iter().find(|(_, other)| *other == ip).map(|(name, _)| Arc::clone(name))
    }

    /// Whether the settings allow `to`, directly or by a name that has resolved to it.
    pub(super) fn reaches(
        &self,
        access: &ActionAccess,
        transport: Transport,
        to: SocketAddr,
    ) -> bool {
        let grants = &access.grants;
        let resolved = self.0.lock();
        let ip = to.ip().to_canonical();
        let names = || resolved.iter().filter(|(_, other)| *other == ip).map(|(name, _)| name);
        grants.sockets.iter().any(|grant| {
            grant.is_at(transport, to)
                || names().any(|name| {
                    grant.reaches(
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
