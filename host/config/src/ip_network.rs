//! An IP address or network, as `trusted_proxies` lists them.

use std::{net::IpAddr, str::FromStr};

use super::{ConfigError, problem::Problem};

/// One entry, such as `10.0.0.0/8`, `192.0.2.7` or `2001:db8::/32` (RFC 4632, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNetwork {
    address: IpAddr,
    /// The length of its prefix, in bits.
    bits: u32,
}

impl IpNetwork {
    /// Parses an entry as written in the settings.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let refused = |help: &str| {
            Problem::new(format!("`{text}` is neither an address nor a network"), help.to_owned())
        };
        let address: IpAddr = address.parse().map_err(|_| {
            refused("write an address, or a network, as in `10.0.0.0/8` or `2001:db8::/32`")
        })?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits.map(str::parse) {
            None => most,
            Some(Ok(bits)) if bits <= most => bits,
            Some(_) => {
                return Err(refused(&format!(
                    "write a prefix length from 0 to {most} after the slash"
                )));
            }
        };
        Ok(Self { address, bits })
    }

    /// Whether `ip` is in this network. An IPv4-mapped IPv6 address counts as IPv4.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address.to_canonical(), ip.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => {
                let differing = (own.to_bits() ^ ip.to_bits()).leading_zeros();
                differing >= self.bits.min(32)
            }
            (IpAddr::V6(own), IpAddr::V6(ip)) => {
                (own.to_bits() ^ ip.to_bits()).leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

impl FromStr for IpNetwork {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Ok(Self::parse(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_as_it_does() {
        let has = |network: &str, ip: &str| {
            IpNetwork::parse(network).unwrap().contains(ip.parse().unwrap())
        };
        assert!(has("10.0.0.0/8", "10.1.2.3") && has("10.9.9.9/8", "::ffff:10.1.2.3"));
        assert!(!has("10.0.0.0/8", "11.0.0.1") && !has("10.0.0.0/8", "2001:db8::1"));
        assert!(has("192.0.2.7", "192.0.2.7") && !has("192.0.2.7", "192.0.2.6"));
        assert!(has("0.0.0.0/0", "203.0.113.1") && !has("0.0.0.0/0", "::1"));
        assert!(has("2001:db8::/32", "2001:db8:1::1") && !has("2001:db8::/32", "2001:db9::1"));
        assert!(has("::1", "::1"));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "example.com", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10/8"]
        {
            assert!(IpNetwork::parse(text).is_err(), "{text}");
        }
    }
}
