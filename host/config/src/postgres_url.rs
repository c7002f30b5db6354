//! The address of a PostgreSQL, in libpq's words:
//! `postgres://[USER[:PASSWORD]@]HOST[:PORT],…/[DATABASE][?WORD=VALUE&…]` (PostgreSQL 16, 34.1.1.2
//! and 34.1.2).
//!
//! It differs from libpq where libpq would be silent about a danger: `sslmode` is `verify-full`
//! unless all hosts are on this machine, and the modes that give up TLS without a word, `allow` and
//! `prefer`, are refused.

mod parse;
mod words;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{TlsFiles, loopback::is_loopback};

pub(super) use parse::parse;

/// How a PostgreSQL is reached.
///
/// Neither `Debug` nor `Display` shows the login.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// The servers, tried in this order until one accepts writes.
    pub hosts: Vec<PostgresHost>,
    /// The role; by default the name of the user that runs the host.
    pub user: Option<String>,
    /// The role's password; by default the one in the password file.
    pub password: Option<String>,
    /// The database; by default the role's name.
    pub database: Option<String>,
    /// Whether and how TLS is spoken.
    pub tls: PostgresTls,
    /// Settings for the server, as on its command line (libpq's `options`).
    pub options: Option<String>,
    /// The password file (libpq's `passfile`).
    pub passfile: Option<PathBuf>,
    /// How long opening a connection may take.
    pub connect_timeout: Option<Duration>,
    /// The name that the server shows for the host's connections.
    pub application_name: Option<String>,
    /// The schema that keeps soloist's tables.
    pub schema: String,
}

/// The schema for soloist's tables where the address names none.
const DEFAULT_SCHEMA: &str = "soloist";

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostgresHost {
    /// By TCP.
    Tcp {
        /// The name or address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// By a socket of this machine.
    Socket {
        /// The folder of the socket.
        folder: PathBuf,
        /// The port, which is part of the socket's name.
        port: u16,
    },
}

/// Whether and how TLS is spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostgresTls {
    /// What is demanded of the server.
    pub mode: SslMode,
    /// The authorities that sign the server's certificate; by default the public ones.
    pub authorities: Option<PathBuf>,
    /// The client certificate for servers that ask for one.
    pub own: Option<Arc<TlsFiles>>,
}

/// What is demanded of the server (libpq's `sslmode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SslMode {
    /// TLS is not spoken.
    #[default]
    Disable,
    /// TLS, whoever the server is: nobody listens, but anybody could be in between.
    Require,
    /// TLS, with a certificate of one of the authorities.
    VerifyCa,
    /// TLS, with a certificate of one of the authorities for the name of the server.
    VerifyFull,
}

impl PostgresUrl {
    /// Whether any server could be on another machine.
    pub(super) fn is_remote(&self) -> bool {
        !self.hosts.iter().all(PostgresHost::is_here)
    }

    /// The same address, its files found by `place`, which completes their paths.
    pub(super) fn with_files(mut self, place: impl Fn(&Path) -> PathBuf) -> Self {
        let completed = |file: &mut PathBuf| *file = place(file);
        self.passfile.iter_mut().for_each(completed);
        self.tls.authorities.iter_mut().for_each(completed);
        self.tls.own = self.tls.own.map(|own| {
            let TlsFiles { cert, key } = &*own;
            TlsFiles { cert: place(cert), key: place(key) }.into()
        });
        self
    }
}

impl PostgresHost {
    /// Whether it is on this machine for certain.
    fn is_here(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => is_loopback(host),
            Self::Socket { .. } => true,
        }
    }
}

impl fmt::Display for PostgresHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Socket { folder, port } => write!(f, "{}:{port}", folder.display()),
        }
    }
}

/// The servers and the database, for people.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.hosts.iter().map(ToString::to_string).collect();
        f.write_str(&hosts.join(","))?;
        self.database.iter().try_for_each(|database| write!(f, "/{database}"))
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

#[cfg(test)]
mod tests;
