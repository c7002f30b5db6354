//! Tells which addresses belong to this machine.
//!
//! A list of interfaces is not enough: interfaces come and go, and a route may assign a whole
//! network to this machine. So the kernel is asked: a UDP socket that is connected to an address of
//! this machine gets that same address, or a loopback address, as its local end. Connecting a UDP
//! socket sends nothing (udp(7); Linux: `ip_route_output_key`, for routes of type `local`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use soloist_config::embedded_v4;

/// Any port will do: nothing is sent to it.
const PORT: u16 = 9;

/// Whether packets to `ip` come back to this machine, either directly or through the IPv4 address
/// that is embedded in it.
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
    // Where a route assigns a whole network to this machine, the local end is a loopback address.
    // And an address without a route cannot be reached at all.
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
        // Loopback, through NAT64 or 6to4.
        for own in ["64:ff9b::7f00:1", "2002:7f00:1::"] {
            assert!(is_own_address(own.parse().unwrap()), "{own}");
        }
        for other in ["192.0.2.1", "198.51.100.7", "2001:db8::1", "64:ff9b::c000:201"] {
            assert!(!is_own_address(other.parse().unwrap()), "{other}");
        }
    }
}
