//! Which addresses are this machine's.
//!
//! No list of interfaces says it: they come and go, and a route may hand a whole network to
//! this machine. The kernel knows, and a datagram socket asks it: one that is connected to an
//! address of this machine gets that very address, or one of loopback, for its own end, and
//! nothing is sent by that (udp(7); Linux: `ip_route_output_key`, for routes of type `local`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use soloist_config::embedded_v4;

/// Any will do: nothing is sent there.
const PORT: u16 = 9;

/// Whether what is sent to `ip` comes back to this machine, by that address or by the one of
/// IPv4 that it stands for on the way.
pub(super) fn is_own_address(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let within = match ip {
        IpAddr::V4(_) => None,
        IpAddr::V6(ip) => embedded_v4(ip).map(IpAddr::V4),
    };
    [Some(ip), within].into_iter().flatten().any(|ip| ip.is_unspecified() || routes_to_self(ip))
}

fn routes_to_self(ip: IpAddr) -> bool {
    let own: SocketAddr = match ip {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let end = UdpSocket::bind(own).and_then(|socket| {
        socket.connect((ip, PORT))?;
        socket.local_addr()
    });
    // Where a whole network is this machine's, its loopback address may stand for it. And where
    // nothing leads, nobody is reached either.
    end.is_ok_and(|end| end.ip() == ip || end.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_is_this_machine() {
        for own in ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"] {
            assert!(is_own_address(own.parse().unwrap()), "{own}");
        }
        // By a translator, or a tunnel, to loopback.
        for own in ["64:ff9b::7f00:1", "2002:7f00:1::"] {
            assert!(is_own_address(own.parse().unwrap()), "{own}");
        }
        for other in ["192.0.2.1", "198.51.100.7", "2001:db8::1", "64:ff9b::c000:201"] {
            assert!(!is_own_address(other.parse().unwrap()), "{other}");
        }
    }
}
