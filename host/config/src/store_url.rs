//! The store's address: `sqlite:PATH`, `postgres://…`, or `etcd://[USER:PASSWORD@]HOST:PORT,…`, with
//! TLS `etcds://…`.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use percent_encoding::percent_decode_str;

use super::{
    ConfigError, PostgresUrl, StoreTls,
    loopback::is_loopback,
    postgres_url,
    problem::{Problem, conceal},
};

const ETCD_PORT: &str = "2379";
const POSTGRES: &str = "postgres";
const PLAIN: &str = "etcd";
const SECURE: &str = "etcds";

/// The kind and address of the store.
///
/// Neither `Debug` nor `Display` shows the login.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `sqlite:PATH`: a file on this machine.
    Sqlite(PathBuf),
    /// `postgres://[USER:PASSWORD@]HOST:PORT,…/DATABASE?…`, or `postgresql://…`
    Postgres(Box<PostgresUrl>),
    /// `etcd://[USER:PASSWORD@]HOST:PORT,…`, or `etcds://…`
    Etcd {
        /// The members' addresses, `host:port`.
        endpoints: Vec<String>,
        /// User name and password.
        login: Option<(String, String)>,
        /// The TLS settings; `None` means plain TCP.
        tls: Option<StoreTls>,
    },
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => write!(f, "postgres://{url}"),
            Self::Etcd { endpoints, tls, .. } => {
                write!(f, "{}://{}", scheme(tls.is_some()), endpoints.join(","))
            }
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

impl StoreUrl {
    /// The shortest TTL that this store supports.
    ///
    /// etcd grants no less than its `minTTL`, 2 s with the default `--election-timeout` of 1 s,
    /// and only whole seconds. The others are limited to 1 s, so that a renewal has time even on a
    /// slow disk.
    #[must_use]
    pub fn min_ttl(&self) -> Duration {
        match self {
            Self::Sqlite(_) | Self::Postgres(_) => Duration::from_secs(1),
            Self::Etcd { .. } => Duration::from_secs(2),
        }
    }

    /// Whether the store is reached by an address that other machines could use as well, so that
    /// hosts of the cluster may be on other machines.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        let is_remote = |endpoint: &String| {
            let host = endpoint.rsplit_once(':').map_or(endpoint.as_str(), |(host, _)| host);
            !is_loopback(host)
        };
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(url) => url.is_remote(),
            Self::Etcd { endpoints, .. } => endpoints.iter().any(is_remote),
        }
    }

    /// Parses an address as written in a file or a flag.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return sqlite(path);
        }
        match text.split_once("://") {
            Some(("etcd", rest)) => etcd(rest, None),
            Some(("postgres" | "postgresql", rest)) => {
                Ok(Self::Postgres(postgres_url::parse(rest)?.into()))
            }
            Some(("etcds", rest)) => etcd(rest, Some(StoreTls::default())),
            _ => Err(unknown(text, &meant(text))),
        }
    }
}

impl FromStr for StoreUrl {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::parse(text)?)
    }
}

/// What to write instead of `text`; only suggests what would be accepted.
fn meant(text: &str) -> String {
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    let rest = rest.trim_start_matches('/');
    // Only the part before a path, query or fragment is the server.
    let server = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (meant, why) = match scheme {
        "etcd" | "http" => (format!("{PLAIN}://{server}"), ""),
        "etcds" | "https" => (format!("{SECURE}://{server}"), ""),
        // As other clients name the same kind of server.
        "pg" | "psql" | "postgres" | "postgresql" | "postgresql+psycopg" | "jdbc" => {
            let rest = rest.trim_start_matches("postgresql://");
            (format!("{POSTGRES}://{rest}"), "")
        }
        "" => (format!("sqlite:{text}"), " for a file"),
        // HOST:PORT, or a list of them.
        _ if text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => {
            (format!("{PLAIN}://{text}"), "")
        }
        _ => (String::new(), ""),
    };
    if StoreUrl::parse(&meant).is_ok() {
        return format!("write `{}`{why}", conceal(&meant));
    }
    "write `sqlite:FILE`, `postgres://HOST/DATABASE` or `etcd://HOST:PORT,HOST:PORT`".to_owned()
}

fn unknown(text: &str, help: &str) -> Problem {
    Problem::new(format!("`{text}` is not the address of a store"), help)
}

const fn scheme(secure: bool) -> &'static str {
    if secure { SECURE } else { PLAIN }
}

fn sqlite(path: &str) -> Result<StoreUrl, Problem> {
    if path.is_empty() {
        return Err(Problem::new("the store names no file", "write `sqlite:soloist.db`"));
    }
    if path.starts_with(':') {
        return Err(Problem::new(
            "a store in memory cannot be shared",
            "name a file that all hosts of this machine can open, as in `sqlite:soloist.db`",
        ));
    }
    match path.strip_prefix("//") {
        Some(rest) if !rest.starts_with('/') => Err(Problem::new(
            format!("`{rest}` stands where a URL has its server, and a file has none"),
            format!("write `sqlite:{rest}`"),
        )),
        Some(absolute) => Ok(StoreUrl::Sqlite(absolute.into())),
        None => Ok(StoreUrl::Sqlite(path.into())),
    }
}

fn etcd(rest: &str, tls: Option<StoreTls>) -> Result<StoreUrl, Problem> {
    let (login, hosts) = match rest.rsplit_once('@') {
        Some((login, hosts)) => (Some(read_login(login)?), hosts),
        None => (None, rest),
    };
    let hosts = hosts.strip_suffix('/').unwrap_or(hosts);
    if let Some((address, path)) = hosts.split_once(['/', '?', '#']) {
        return Err(Problem::new(
            format!("etcd's address goes no further than its port, but here follows `{path}`"),
            format!(
                "write `{}://{address}`; `cluster` keeps clusters in one etcd apart",
                scheme(tls.is_some())
            ),
        ));
    }
    let endpoints = hosts.split(',').map(endpoint).collect::<Result<Vec<_>, _>>()?;
    check_members(&endpoints)?;
    Ok(StoreUrl::Etcd { endpoints, login, tls })
}

/// Checks that each member is listed once: a repeated address probably replaces a missing one.
fn check_members(endpoints: &[String]) -> Result<(), Problem> {
    let twice = |(at, one): (usize, &String)| {
        endpoints[..at].iter().any(|other| other.eq_ignore_ascii_case(one)).then(|| one.clone())
    };
    let Some(twice) = endpoints.iter().enumerate().find_map(twice) else { return Ok(()) };
    Err(Problem::new(
        format!("`{twice}` is named twice, and each member of etcd has an address of its own"),
        "write the address of another member in place of one of the two, or drop it",
    ))
}

fn read_login(login: &str) -> Result<(String, String), Problem> {
    let decode = |text| {
        percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| {
            Problem::new(
                "the login of the store is not UTF-8",
                "percent-encode user and password as UTF-8",
            )
        })
    };
    match login.split_once(':') {
        Some((user, password)) if !user.is_empty() && !password.is_empty() => {
            Ok((decode(user)?, decode(password)?))
        }
        _ => Err(Problem::new(
            "the login of the store lacks its user or its password",
            "write `etcd://USER:PASSWORD@HOST:PORT`, with `:` `@` `/` in them as %3A %40 %2F",
        )),
    }
}

fn endpoint(text: &str) -> Result<String, Problem> {
    let (host, port) = split_port(text.trim());
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(is_host_char),
    };
    if !is_host || !port.parse::<u16>().is_ok_and(|port| port > 0) {
        return Err(Problem::new(
            format!("`{text}` is not the address of an etcd server"),
            "write HOST or HOST:PORT, as in `etcd://10.0.0.1:2379,10.0.0.2:2379`",
        ));
    }
    Ok(format!("{host}:{port}"))
}

/// Splits host and port; an IPv6 address in brackets keeps its colons.
fn split_port(text: &str) -> (&str, &str) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, ETCD_PORT),
    }
}

fn is_host_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

#[cfg(test)]
mod tests;
