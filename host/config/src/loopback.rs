//! Addresses that lead back to the machine that uses them.

use std::net::IpAddr;

use http::Uri;

/// Whether a URL leads every machine that calls it to that machine itself.
#[must_use]
pub fn is_loopback_url(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(is_loopback))
}

/// Whether a host name or address is the caller's own machine. Other names are not resolved.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        // Linux connects to itself where an address is unspecified.
        Ok(ip) => ip.to_canonical().is_loopback() || ip.is_unspecified(),
        // RFC 6761, section 6.3.
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_url_is_one_that_only_its_own_machine_reaches() {
        for url in [
            "http://127.0.0.1:4000",
            "https://127.9.8.7:4000",
            "http://[::1]:4000",
            "http://[::ffff:127.0.0.1]:4000",
            "http://0.0.0.0:4000",
            "http://LocalHost:4000",
            "http://a.localhost:4000",
        ] {
            assert!(is_loopback_url(url), "{url}");
        }
        for url in ["http://10.0.0.1:4000", "http://a:4000", "http://[fd00::1]:4000", "", "a b"] {
            assert!(!is_loopback_url(url), "{url}");
        }
    }
}
