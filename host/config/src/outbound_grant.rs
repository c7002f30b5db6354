//! Where an action may send HTTP requests to: the entries of `outbound`.

use std::{net::IpAddr, str::FromStr};

use super::{
    ConfigError,
    host_pattern::{HostPattern, IsOwnAddress, split_port},
    problem::Problem,
};

/// One entry of `outbound`, such as `https://api.example.com`,
/// `http://10.0.0.7:8080` or `http://*.internal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundGrant {
    https: bool,
    host: HostPattern,
    port: u16,
}

impl OutboundGrant {
    /// Parses an entry as written in the settings.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let refused = |help: String| {
            Problem::new(format!("`{text}` is not a valid entry of `outbound`"), help)
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
                "leave the path out: an entry grants all paths: `{scheme}://{origin}`"
            )));
        }
        if let Some((_, host)) = rest.rsplit_once('@') {
            return Err(refused(format!(
                "leave the user name and password out: `{scheme}://{host}`"
            )));
        }
        let (host, port) = split_port(rest).ok_or_else(|| {
            refused("write the port as a number, as in `http://10.0.0.7:8080`".to_owned())
        })?;
        let host = HostPattern::parse(host).ok_or_else(|| {
            refused(
                "name a host, an address ([…] around one of IPv6), or all hosts of a domain as in `https://*.example.com`"
                    .to_owned(),
            )
        })?;
        Ok(Self { https, host, port: port.unwrap_or(default_port(https)) })
    }

    /// Whether this entry matches requests to `host`, which is in lower case.
    #[must_use]
    pub fn names(&self, https: bool, host: &str, port: u16) -> bool {
        self.https == https && self.port == port && self.host.is(host)
    }

    /// Whether a host matched by this entry may be contacted at `ip`; see `HostPattern::reaches`.
    #[must_use]
    pub fn reaches(&self, ip: IpAddr, private: bool, is_own: IsOwnAddress) -> bool {
        self.host.reaches(ip, private, is_own)
    }
}

impl FromStr for OutboundGrant {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Ok(Self::parse(text)?)
    }
}

/// The port that applies where none is written.
#[must_use]
pub fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> OutboundGrant {
        OutboundGrant::parse(text).unwrap()
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
        let reach = |ip: &str, private| named.reaches(ip.parse().unwrap(), private, nobody);
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
            "2001:0:7f00:1::1",
            "3fff::1",
        ] {
            assert!(!reach(never, true), "{never}");
        }
        let localhost = entry("http://localhost");
        assert!(localhost.reaches([127, 0, 0, 1].into(), false, nobody));
        assert!(!localhost.reaches([10, 0, 0, 1].into(), true, nobody));
        let ip = entry("http://169.254.1.1");
        assert!(ip.reaches([169, 254, 1, 1].into(), false, nobody));
        assert!(!ip.reaches([169, 254, 169, 254].into(), true, nobody));
    }

    /// Stands for a machine that has none of the addresses.
    fn nobody(_: IpAddr) -> bool {
        false
    }

    #[test]
    fn a_name_never_stands_for_this_machine() {
        let own: IsOwnAddress = |_| true;
        for ip in ["10.1.2.3", "93.184.216.34", "2606:2800:220:1::1", "fd00::1"] {
            let ip: IpAddr = ip.parse().unwrap();
            for name in ["http://example.com", "http://*.example.com"] {
                assert!(!entry(name).reaches(ip, true, own), "{name} at {ip}");
            }
        }
        // The entry names the private address itself, so it is intended.
        assert!(entry("http://10.1.2.3").reaches([10, 1, 2, 3].into(), false, own));
    }
}
