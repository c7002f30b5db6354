//! How grants name hosts: by an address, a name, or all names below a domain.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A pattern that matches one host or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostPattern {
    /// Exactly this address.
    Ip(IpAddr),
    /// Exactly this name, in lower case.
    Name(String),
    /// All names with this suffix, which begins with a dot.
    Below(String),
}

/// Tells whether an address belongs to this machine.
pub type IsOwnAddress = fn(IpAddr) -> bool;

/// The kind of network that an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AddressScope {
    Public,
    Private,
    /// The machine itself, its link, or nothing that is a single host.
    Never,
}

impl HostPattern {
    /// Parses a host as written in the settings; `*.` matches all names below a domain.
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

    /// Whether it has to be resolved through DNS.
    pub(super) fn is_by_name(&self) -> bool {
        !matches!(self, Self::Ip(_))
    }

    /// Whether this is literally the address `ip`.
    pub(super) fn is_at(&self, ip: IpAddr) -> bool {
        matches!(self, Self::Ip(named) if *named == ip.to_canonical())
    }

    /// Whether this matches `host`, which is in lower case.
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

    /// Whether a host matched by this pattern may be contacted at the address `ip`. Public
    /// addresses are allowed; private ones if `private` says so; all others only if the pattern
    /// names them literally or as `localhost`. So a DNS server cannot turn a grant into access to
    /// this machine or its neighbours. `is_own` tells which addresses are this machine's.
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

/// Whether this is a valid host name. A last label that begins with a digit is rejected: it could
/// be read as an address.
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

/// Splits host and port; `None` where the port is invalid.
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

/// The IPv4 address embedded in `ip`, where a translator (RFC 6052) or tunnel (RFC 3056) delivers
/// to it.
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
        // Teredo tunnels, whose far end cannot be seen, benchmarking and documentation ranges,
        // and protocol assignments (IANA: IPv6 Special-Purpose Address Registry).
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => {
            AddressScope::Never
        }
        [0x2000..=0x3fff, ..] => AddressScope::Public,
        _ => AddressScope::Never,
    }
}
