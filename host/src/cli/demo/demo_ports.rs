//! The ports of a demo: the documented ones, or others where those are in use.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
};

use crate::cli::ExitError;

/// All ports of a demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DemoPorts {
    /// The control APIs.
    pub(super) hosts: [u16; 3],
    /// The leader's actions.
    pub(super) actions: u16,
    /// The services next to the cluster.
    pub(super) neighbour: u16,
}

/// The documented ports, which are used if they are free.
const KNOWN: DemoPorts = DemoPorts { hosts: [4001, 4002, 4003], actions: 3000, neighbour: 3001 };

impl DemoPorts {
    /// Finds free ports; also returns a message for each documented port that is in use.
    pub(super) fn find() -> Result<(Self, Vec<String>), ExitError> {
        // Keep the sockets until all ports are found, so that none is chosen twice.
        let mut held = Vec::new();
        let mut taken = Vec::new();
        let mut find = |wanted: u16| -> io::Result<u16> {
            let listener = match bind(wanted) {
                Ok(listener) => listener,
                Err(_) => {
                    taken.push(wanted);
                    bind(0)?
                }
            };
            let port = listener.local_addr()?.port();
            held.push(listener);
            Ok(port)
        };
        let mut all = || -> io::Result<Self> {
            let [a, b, c] = KNOWN.hosts;
            Ok(Self {
                hosts: [find(a)?, find(b)?, find(c)?],
                actions: find(KNOWN.actions)?,
                neighbour: find(KNOWN.neighbour)?,
            })
        };
        let ports = all().map_err(|error| {
            ExitError::unavailable("the demo needs five ports on 127.0.0.1").caused_by(&error)
        })?;
        let told = |port: u16| {
            let instead = if port == KNOWN.actions {
                format!(
                    "; the leader's actions answer at http://127.0.0.1:{} instead",
                    ports.actions
                )
            } else {
                String::new()
            };
            format!("port {port} is taken (`ss -ltnp` shows by whom){instead}")
        };
        Ok((ports, taken.into_iter().map(told).collect()))
    }

    /// Whether the actions answer at the default port.
    pub(super) fn are_actions_at_home(self) -> bool {
        self.actions == KNOWN.actions
    }
}

fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_taken_is_told_and_replaced() {
        // If another process holds the port already, that works just as well.
        let _held = [bind(KNOWN.hosts[1]), bind(KNOWN.actions)];
        let (ports, taken) = DemoPorts::find().unwrap();
        assert_ne!(ports.hosts[1], KNOWN.hosts[1]);
        assert!(taken.iter().any(|told| told.contains("4002")), "{taken:?}");
        let instead = format!("answer at http://127.0.0.1:{} instead", ports.actions);
        assert!(taken.iter().any(|told| told.contains(&instead)), "{taken:?}");
        let all: BTreeSet<_> =
            ports.hosts.into_iter().chain([ports.actions, ports.neighbour]).collect();
        assert_eq!(all.len(), 5, "{ports:?}");
    }
}
