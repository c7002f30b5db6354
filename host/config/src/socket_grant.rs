//! Where an action may connect or send datagrams to: the entries of `sockets`.

use std::{net::SocketAddr, str::FromStr};

use super::{
    ConfigError,
    host_pattern::{HostPattern, IsOwnAddress, split_port},
    problem::Problem,
};

/// The transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// One entry of `sockets`, such as `tcp://10.0.0.5:5432` or `udp://*.internal:53`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketGrant {
    transport: Transport,
    host: HostPattern,
    port: u16,
}

impl SocketGrant {
    /// Parses an entry as written in the settings.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let refused = |help: String| {
            Problem::new(format!("`{text}` is not a valid entry of `sockets`"), help)
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(refused(format!(
                "add the protocol, as in `tcp://{text}` or `udp://{text}`"
            )));
        };
        let transport = match scheme {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            "http" | "https" => {
                return Err(refused("HTTP is granted by `outbound`: put it there".to_owned()));
            }
            _ => return Err(refused("write `tcp://…` or `udp://…`".to_owned())),
        };
        if rest.contains(['/', '?', '#', '@']) {
            return Err(refused("write only HOST:PORT after the `//`".to_owned()));
        }
        let Some((host, Some(port))) = split_port(rest) else {
            return Err(refused(format!("add the port, as in `{scheme}://10.0.0.5:5432`")));
        };
        let host = HostPattern::parse(host).ok_or_else(|| {
            refused(format!(
                "name a host, an address ([…] around one of IPv6), or all hosts of a domain as in `{scheme}://*.internal:{port}`"
            ))
        })?;
        Ok(Self { transport, host, port })
    }

    /// Whether this allows resolving `name`, which is in lower case.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        self.host.is_by_name() && self.host.is(name)
    }

    /// Whether it names the address of `to` literally.
    #[must_use]
    pub fn is_at(&self, transport: Transport, to: SocketAddr) -> bool {
        self.suits(transport, to.port()) && self.host.is_at(to.ip())
    }

    /// Whether a guest may contact `to` after resolving `name` to it; see `HostPattern::reaches`.
    #[must_use]
    pub fn reaches(
        &self,
        name: &str,
        transport: Transport,
        to: SocketAddr,
        private: bool,
        is_own: IsOwnAddress,
    ) -> bool {
        let suits = self.suits(transport, to.port()) && self.names(name);
        suits && self.host.reaches(to.ip(), private, is_own)
    }

    /// Whether it is for this transport.
    #[must_use]
    pub fn is_by(&self, transport: Transport) -> bool {
        self.transport == transport
    }

    fn suits(&self, transport: Transport, port: u16) -> bool {
        self.transport == transport && self.port == port
    }
}

impl FromStr for SocketGrant {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Ok(Self::parse(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> SocketGrant {
        SocketGrant::parse(text).unwrap()
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_one_transport_and_one_port_of_it() {
        let db = grant("tcp://10.0.0.5:5432");
        assert!(db.is_at(Transport::Tcp, at("10.0.0.5:5432")));
        assert!(db.is_at(Transport::Tcp, at("[::ffff:10.0.0.5]:5432")));
        assert!(!db.is_at(Transport::Udp, at("10.0.0.5:5432")));
        assert!(!db.is_at(Transport::Tcp, at("10.0.0.5:5433")));
        assert!(!db.is_at(Transport::Tcp, at("10.0.0.6:5432")));
        assert!(!db.names("10.0.0.5"), "it has no name to ask for");
    }

    #[test]
    fn a_name_reaches_where_it_stands_for_and_no_further() {
        let db = grant("tcp://DB.internal:5432");
        let reaches =
            |name, to, private| db.reaches(name, Transport::Tcp, at(to), private, |_| false);
        assert!(db.names("db.internal") && !db.names("x.db.internal"));
        assert!(reaches("db.internal", "10.0.0.5:5432", true));
        assert!(!reaches("db.internal", "10.0.0.5:5432", false));
        assert!(!reaches("db.internal", "127.0.0.1:5432", true));
        assert!(!reaches("other.internal", "10.0.0.5:5432", true));
        assert!(!db.is_at(Transport::Tcp, at("10.0.0.5:5432")), "only by its name");
        let to = at("10.0.0.5:5432");
        assert!(!db.reaches("db.internal", Transport::Tcp, to, true, |_| true), "this machine");
    }
}
