//! How the servers are reached: their addresses, the login and the certificates.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio_postgres::{Client, Config, Connection, Socket};

use super::{
    certificates::PostgresCertificates,
    fault::PostgresFault,
    passfile::{self, Login},
    tls::{PostgresConnector, PostgresTlsStream},
};
use crate::StoreError;
use soloist_config::{PostgresHost, PostgresUrl, SslMode};
use soloist_text::with_causes;

/// What drives a connection.
pub(super) type PostgresDriver = Connection<Socket, PostgresTlsStream>;

/// The folder of sockets for which libpq's password file says `localhost`.
const SOCKETS: &str = "/var/run/postgresql";

/// The name that the server shows for connections of hosts.
const APPLICATION: &str = "soloist";

/// The servers, the login and the TLS settings.
pub(super) struct PostgresAccess {
    url: PostgresUrl,
    certificates: PostgresCertificates,
    /// The server that was used last, by its index; it is tried first.
    last: AtomicUsize,
}

impl PostgresAccess {
    /// Reads the certificate files.
    pub(super) fn new(url: &PostgresUrl) -> Result<Arc<Self>, StoreError> {
        let certificates = PostgresCertificates::load(&url.tls)
            .map_err(|error| StoreError::refused(with_causes(&error)))?;
        Ok(Arc::new(Self { url: url.clone(), certificates, last: AtomicUsize::new(0) }))
    }

    /// A name of the store for people.
    pub(super) fn label(&self) -> String {
        format!("postgres {}", self.url)
    }

    /// The address without user and password, for commands that are shown to people.
    pub(super) fn url_without_login(&self) -> String {
        format!("postgres://{}", self.url)
    }

    /// The schema of soloist's tables.
    pub(super) fn schema(&self) -> &str {
        &self.url.schema
    }

    /// How long opening a connection may take if `default` is what suits the timings.
    pub(super) fn opening_timeout(&self, default: Duration) -> Duration {
        self.url.connect_timeout.unwrap_or(default)
    }

    /// The servers in the order in which to try them.
    pub(super) fn servers(&self) -> impl Iterator<Item = (usize, &PostgresHost)> {
        let (hosts, last) = (&self.url.hosts, self.last.load(Ordering::Relaxed));
        let first = hosts.get(last).map(|host| (last, host));
        let others = hosts.iter().enumerate().filter(move |(at, _)| *at != last);
        first.into_iter().chain(others)
    }

    /// Notes which server is used.
    pub(super) fn used(&self, server: usize) {
        self.last.store(server, Ordering::Relaxed);
    }

    /// Connects to a server and logs in.
    pub(super) async fn connect(
        &self,
        host: &PostgresHost,
    ) -> Result<(Client, PostgresDriver), PostgresFault> {
        let config = self.config(host)?;
        let connector = PostgresConnector(self.certificates.current().await);
        Ok(config.connect(connector).await?)
    }

    fn config(&self, host: &PostgresHost) -> Result<Config, PostgresFault> {
        let PostgresUrl { user, password, database, options, application_name, .. } = &self.url;
        let mut config = Config::new();
        let (name, port) = match host {
            PostgresHost::Tcp { host, port } => {
                config.host(host);
                (host.as_str(), *port)
            }
            PostgresHost::Socket { folder, port } => {
                config.host_path(folder);
                let default = folder == Path::new(SOCKETS);
                (if default { "localhost" } else { folder.to_str().unwrap_or_default() }, *port)
            }
        };
        let secure =
            self.url.tls.mode != SslMode::Disable && matches!(host, PostgresHost::Tcp { .. });
        use tokio_postgres::config::SslMode as Mode;
        config
            .port(port)
            .ssl_mode(if secure { Mode::Require } else { Mode::Disable })
            .application_name(application_name.as_deref().unwrap_or(APPLICATION));
        if let Some(user) = user {
            config.user(user);
        }
        if let Some(database) = database {
            config.dbname(database);
        }
        if let Some(options) = options {
            config.options(options);
        }
        let password = match (password, user) {
            (Some(password), _) => Some(password.clone()),
            (None, Some(user)) => {
                let database = database.as_ref().unwrap_or(user);
                let login = Login { host: name, port, database, user };
                passfile::password(self.url.passfile.as_deref(), &login)?
            }
            (None, None) => None,
        };
        if let Some(password) = password {
            config.password(password);
        }
        Ok(config)
    }
}
