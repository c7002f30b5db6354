//! The target of an outgoing request, read the same way for checking it and for connecting to it.

use std::fmt;

use ::http::{Uri, uri::Scheme};

use soloist_config::{Grants, OutboundGrant, default_port};

/// The scheme, host and port that a request goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestTarget {
    https: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

impl RequestTarget {
    /// The target of `uri`; `None` if it is not a full http(s) address, or has user information.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let https = *uri.scheme()? == Scheme::HTTPS;
        let authority = uri.authority()?;
        let port = match authority.port_u16() {
            Some(port) => port,
            None if authority.as_str() == authority.host() => default_port(https),
            // A port that is not a number.
            None => return None,
        };
        let plain = !authority.as_str().contains('@');
        plain.then(|| Self { https, host: authority.host().to_ascii_lowercase(), port })
    }

    /// The entries of the settings that match this target.
    pub(crate) fn entries<'a>(
        &'a self,
        grants: &'a Grants,
    ) -> impl Iterator<Item = &'a OutboundGrant> {
        let entries = grants.outbound.iter();
        entries.filter(|entry| entry.names(self.https, &self.host, self.port))
    }
}

impl fmt::Display for RequestTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == default_port(self.https) { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_they_are_connected_to() {
        let target = |uri: &str| RequestTarget::of(&uri.parse().unwrap()).map(|t| t.to_string());
        for (uri, read) in [
            ("http://A.example/x?y", Some("http://a.example")),
            ("https://a.example:443/", Some("https://a.example")),
            ("http://a.example:443/", Some("http://a.example:443")),
            ("http://[::1]:80/", Some("http://[::1]")),
            ("http://a.example@evil.example/", None),
            ("http://a.example:99999/", None),
            ("/x", None),
        ] {
            assert_eq!(target(uri).as_deref(), read, "{uri}");
        }
    }
}
