//! The hosts that grants name: an address, a name, or all names of a domain.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What stands for one host or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostPattern {
    /// This address.
    Ip(IpAddr),
    /// This name, in lower case.
    Name(String),
    /// All names that end so; it begins with the dot.
    Below(String),
}

/// Tells whether an address is one of this machine's.
pub type IsOwnAddress = fn(IpAddr) -> bool;

/// What kind of network an address is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddressScope {
    Public,
    Private,
    /// The machine itself, its link, or no single host at all.
    Never,
}

impl HostPattern {
    /// Reads a host as it is written in the settings, with `*.` for all below a domain.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(ip) = text.strip_prefix('[') {
            let ip: Ipv6Addr = ip.strip_suffix(']')?.parse().ok()?;
            return Some(Self::Ip(IpAddr::from(ip).to_canonical()));
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Some(Self::Ip(ip.into()));
        }
        let name = text.to_ascii_lowercase();
        match name.strip_prefix('*') {
            Some(domain) => is_name(domain.strip_prefix('.')?).then(|| Self::Below(domain.into())),
            None => is_name(&name).then_some(Self::Name(name)),
        }
    }

    /// Whether it is found by asking for a name.
    pub(super) fn is_by_name(&self) -> bool {
        !matches!(self, Self::Ip(_))
    }

    /// Whether this is the address `ip`, and no name for it.
    pub(super) fn is_at(&self, ip: IpAddr) -> bool {
        matches!(self, Self::Ip(named) if *named == ip.to_canonical())
    }

    /// Whether this is `host`, which is in lower case.
    pub(super) fn is(&self, host: &str) -> bool {
        match self {
            Self::Ip(ip) => {
                let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
                host.parse::<IpAddr>().is_ok_and(|host| host.to_canonical() == *ip)
            }
            Self::Name(name) => host == name,
            Self::Below(domain) => host.len() > domain.len() && host.ends_with(domain),
        }
    }

    /// Whether what this names may be found at `ip`: public addresses may,
    /// those of private networks if `private` says so, and others only if it
    /// names them: by the address itself, or as `localhost`. So a name service
    /// cannot turn a grant into one for this machine or its neighbours; which
    /// addresses are this machine's, `is_own` says.
    pub(super) fn reaches(&self, ip: IpAddr, private: bool, is_own: IsOwnAddress) -> bool {
        match (self, address_scope(ip)) {
            (Self::Ip(named), _) => *named == ip.to_canonical(),
            (Self::Name(name), _) if name == "localhost" => ip.to_canonical().is_loopback(),
            (_, AddressScope::Never) => false,
            (_, AddressScope::Private) if !private => false,
            (_, AddressScope::Public | AddressScope::Private) => !is_own(ip),
        }
    }
}

/// A host name; one that ends with a number would be taken for an address.
pub(super) fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() < 64
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() < 254
        && name.split('.').all(is_label)
        && !last.starts_with(|c: char| c.is_ascii_digit())
}

/// Host and port, if one is written; `None` where the port is none.
pub(super) fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let after_ip = text.rfind(']').map_or(0, |end| end + 1);
    match text[after_ip..].rfind(':') {
        Some(colon) => {
            let (host, port) = text.split_at(after_ip + colon);
            let port = port[1..].parse().ok().filter(|port| *port != 0)?;
            Some((host, Some(port)))
        }
        None => Some((text, None)),
    }
}

fn address_scope(ip: IpAddr) -> AddressScope {
    match ip.to_canonical() {
        IpAddr::V4(ip) => address_scope_v4(ip),
        IpAddr::V6(ip) => address_scope_v6(ip),
    }
}

fn address_scope_v4(ip: Ipv4Addr) -> AddressScope {
    match ip.octets() {
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => {
            AddressScope::Private
        }
        [0 | 127 | 224.., ..] | [169, 254, ..] | [192, 0, 0 | 2, _] => AddressScope::Never,
        [198, 18..=19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => AddressScope::Never,
        _ => AddressScope::Public,
    }
}

/// The address of IPv4 that `ip` stands for on the way: by a translator (RFC 6052) or a tunnel
/// (RFC 3056).
#[must_use]
pub fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

fn address_scope_v6(ip: Ipv6Addr) -> AddressScope {
    if let Some(ip) = embedded_v4(ip) {
        return address_scope_v4(ip);
    }
    match ip.segments() {
        [0xfc00..=0xfdff, ..] | [0x64, 0xff9b, 1, ..] => AddressScope::Private,
        // Tunnels whose far end the address hides (Teredo), benchmarks, documents, and what
        // is assigned to protocols (IANA: IPv6 Special-Purpose Address Registry).
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => {
            AddressScope::Never
        }
        [0x2000..=0x3fff, ..] => AddressScope::Public,
        _ => AddressScope::Never,
    }
}
