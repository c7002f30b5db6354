//! Where an action may send HTTP requests to, as `outbound` names it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use super::{ConfigError, problem::Problem};

/// One entry of `outbound`, such as `https://api.example.com`,
/// `http://10.0.0.7:8080` or `http://*.internal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbound {
    https: bool,
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// This address.
    Ip(IpAddr),
    /// This name, in lower case.
    Name(String),
    /// All names that end so; it begins with the dot.
    Below(String),
}

/// What kind of network an address is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Public,
    Private,
    /// The machine itself, its link, or no single host at all.
    Never,
}

impl Outbound {
    /// Reads an entry as it is written in the settings.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let refused = |mend: String| {
            Problem::new(format!("`{text}` is not where HTTP requests can go"), mend)
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(refused(format!("add the scheme, as in `https://{text}`")));
        };
        let https = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(refused("write `http://…` or `https://…`".to_owned())),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if let Some((origin, _)) = rest.split_once(['/', '?', '#']) {
            return Err(refused(format!(
                "leave the path out, since all of them are granted: `{scheme}://{origin}`"
            )));
        }
        if let Some((_, host)) = rest.rsplit_once('@') {
            return Err(refused(format!("leave the login out: `{scheme}://{host}`")));
        }
        let (host, port) = split_port(rest).ok_or_else(|| {
            refused("write the port as a number, as in `http://10.0.0.7:8080`".to_owned())
        })?;
        let host = Host::parse(host).ok_or_else(|| {
            refused(
                "name a host, an address ([…] around one of IPv6), or all hosts of a domain as in `https://*.example.com`"
                    .to_owned(),
            )
        })?;
        Ok(Self { https, host, port: port.unwrap_or(default_port(https)) })
    }

    /// Whether this entry is about requests to `host`, which is in lower case.
    #[must_use]
    pub fn names(&self, https: bool, host: &str, port: u16) -> bool {
        self.https == https && self.port == port && self.host.is(host)
    }

    /// Whether what this entry names may be found at `ip`: public addresses may,
    /// those of private networks if `private` says so, and others only if it
    /// names them: by the address itself, or as `localhost`. So a name service
    /// cannot turn a grant into one for this machine or its neighbours.
    #[must_use]
    pub fn reaches(&self, ip: IpAddr, private: bool) -> bool {
        match (&self.host, network(ip)) {
            (Host::Ip(named), _) => *named == ip.to_canonical(),
            (Host::Name(name), _) if name == "localhost" => ip.to_canonical().is_loopback(),
            (_, Network::Public) => true,
            (_, Network::Private) => private,
            (_, Network::Never) => false,
        }
    }
}

impl FromStr for Outbound {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Ok(Self::parse(text)?)
    }
}

/// The port that is meant where none is written.
#[must_use]
pub fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

impl Host {
    fn parse(text: &str) -> Option<Self> {
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

    fn is(&self, host: &str) -> bool {
        match self {
            Self::Ip(ip) => {
                let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
                host.parse::<IpAddr>().is_ok_and(|host| host.to_canonical() == *ip)
            }
            Self::Name(name) => host == name,
            Self::Below(domain) => host.len() > domain.len() && host.ends_with(domain),
        }
    }
}

/// A host name; one that ends with a number would be taken for an address.
fn is_name(name: &str) -> bool {
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

/// Host and port; `None` where the port is none.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
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

fn network(ip: IpAddr) -> Network {
    match ip.to_canonical() {
        IpAddr::V4(ip) => network_v4(ip),
        IpAddr::V6(ip) => network_v6(ip),
    }
}

fn network_v4(ip: Ipv4Addr) -> Network {
    match ip.octets() {
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Network::Private,
        [0 | 127 | 224.., ..] | [169, 254, ..] | [192, 0, 0 | 2, _] => Network::Never,
        [198, 18..=19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => Network::Never,
        _ => Network::Public,
    }
}

fn network_v6(ip: Ipv6Addr) -> Network {
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        network_v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        // Translated to IPv4 on the way, so what counts is that.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => embedded(high, low),
        [0xfc00..=0xfdff, ..] | [0x64, 0xff9b, 1, ..] => Network::Private,
        [0x2001, 0xdb8, ..] => Network::Never,
        [0x2000..=0x3fff, ..] => Network::Public,
        _ => Network::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Outbound {
        Outbound::parse(text).unwrap()
    }

    #[test]
    fn names_scheme_host_and_port() {
        let api = entry("https://API.example.com/");
        assert!(api.names(true, "api.example.com", 443));
        assert!(!api.names(false, "api.example.com", 443));
        assert!(!api.names(true, "api.example.com", 8443));
        assert!(!api.names(true, "x.api.example.com", 443));
        assert!(!api.names(true, "api.example.com.", 443));
        let below = entry("http://*.internal:81");
        assert!(below.names(false, "a.internal", 81) && below.names(false, "a.b.internal", 81));
        for other in ["internal", ".internal", "ainternal", "a.internal.evil"] {
            assert!(!below.names(false, other, 81), "{other}");
        }
        assert!(entry("http://[::1]:8080").names(false, "[0:0::1]", 8080));
        assert!(entry("http://10.0.0.7").names(false, "10.0.0.7", 80));
    }

    #[test]
    fn a_name_reaches_no_address_that_it_does_not_name() {
        let named = entry("http://example.com");
        let reach = |ip: &str, private| named.reaches(ip.parse().unwrap(), private);
        for public in ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"] {
            assert!(reach(public, false), "{public}");
        }
        for private in ["10.1.2.3", "172.31.0.1", "192.168.1.1", "fd00::1", "::ffff:10.0.0.1"] {
            assert!(!reach(private, false) && reach(private, true), "{private}");
        }
        for never in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "169.254.169.254",
            "::1",
            "::",
            "fe80::1",
            "::ffff:127.0.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "::7f00:1",
            "ff02::1",
        ] {
            assert!(!reach(never, true), "{never}");
        }
        let localhost = entry("http://localhost");
        assert!(localhost.reaches([127, 0, 0, 1].into(), false));
        assert!(!localhost.reaches([10, 0, 0, 1].into(), true));
        let ip = entry("http://169.254.1.1");
        assert!(ip.reaches([169, 254, 1, 1].into(), false));
        assert!(!ip.reaches([169, 254, 169, 254].into(), true));
    }
}
