//! How etcd is reached: the addresses of its members, the login and the certificates.
//!
//! Invariant: replaced certificate files take effect from the next connection on, as with
//! [`Reloadable`].

use std::{io, path::Path, sync::Arc};

use etcd_client::{Identity, TlsOptions};
use rustls::{
    ClientConfig,
    pki_types::{ServerName, pem},
};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_rustls::TlsConnector;

use super::cluster_trust::ClusterTrust;
use crate::{StoreError, foreign_candidate::shell_quote};
use soloist_config::{StoreTls, TlsFiles, small_file};
use soloist_text::with_causes;
use soloist_tls::{H2, Reloadable, TlsError, client_config, client_files, load_authorities};

/// The addresses, the login and the TLS settings. Clones share their state.
#[derive(Clone)]
pub(crate) struct EtcdAccess {
    /// The members' addresses, `host:port`.
    pub(super) endpoints: Vec<String>,
    /// User name and password.
    pub(super) login: Option<(String, String)>,
    /// The TLS settings, if TLS is used.
    pub(super) tls: Option<Arc<EtcdTls>>,
    /// Which etcd cluster is trusted, and what is known of it.
    pub(super) trust: Arc<ClusterTrust>,
    /// The beginning of a shell command for people: etcdctl with its flags. It asks for the
    /// password itself.
    pub(super) etcdctl: Arc<str>,
}

/// The TLS settings, loaded.
pub(super) struct EtcdTls {
    loaded: Reloadable<LoadedTls>,
    /// Whether this host presents a certificate.
    pub(super) shows_certificate: bool,
}

/// What is loaded from the files.
struct LoadedTls {
    /// For the etcd client.
    options: TlsOptions,
    /// The same for our own handshake, which finds out what the etcd client does not report.
    config: Arc<ClientConfig>,
}

impl EtcdAccess {
    /// Reads the certificate files.
    pub(crate) fn new(
        endpoints: &[String],
        login: Option<&(String, String)>,
        tls: Option<&StoreTls>,
    ) -> Result<Self, StoreError> {
        let etcdctl = etcdctl(endpoints, login.map(|(user, _)| user.as_str()), tls);
        let tls = tls.map(EtcdTls::new).transpose();
        let tls = tls.map_err(|error| StoreError::refused(with_causes(&error)))?;
        Ok(Self {
            endpoints: endpoints.to_vec(),
            login: login.cloned(),
            tls: tls.map(Arc::new),
            trust: Arc::default(),
            etcdctl: etcdctl.into(),
        })
    }
}

/// The etcdctl command with which people reach the same etcd as the same user, quoted for a shell
/// (for etcdctl's flags see etcd.io/docs).
fn etcdctl(endpoints: &[String], user: Option<&str>, tls: Option<&StoreTls>) -> String {
    let scheme = if tls.is_some() { "https://" } else { "" };
    let endpoints: Vec<_> = endpoints.iter().map(|it| format!("{scheme}{it}")).collect();
    let (ca, own) = tls.map_or((None, None), |tls| (tls.ca.as_deref(), tls.own.as_deref()));
    let file = |path: &Path| path.display().to_string();
    let flags = [
        ("endpoints", Some(endpoints.join(","))),
        ("cacert", ca.map(file)),
        ("cert", own.map(|own| file(&own.cert))),
        ("key", own.map(|own| file(&own.key))),
        ("user", user.map(ToOwned::to_owned)),
    ];
    let given = flags.into_iter().filter_map(|(flag, value)| Some((flag, value?)));
    let words = given.map(|(flag, value)| format!(" --{flag}={}", shell_quote(value.as_bytes())));
    ["etcdctl".to_owned()].into_iter().chain(words).collect()
}

impl EtcdTls {
    fn new(tls: &StoreTls) -> Result<Self, TlsError> {
        let files = client_files(tls.ca.as_ref(), tls.own.as_ref());
        let (shows, tls) = (tls.own.is_some(), tls.clone());
        Ok(Self { loaded: Reloadable::new(files, move || load(&tls))?, shows_certificate: shows })
    }

    /// The options for the next connection.
    pub(super) async fn options(&self) -> TlsOptions {
        self.loaded.get().await.options.clone()
    }

    /// The TLS error between the member at `address` and this host, if one can be provoked. The
    /// etcd client may only learn that the connection was closed: its own part of a TLS 1.3
    /// handshake is finished before the member has checked the certificate. This handshake then
    /// waits for the member to either report the error or start to speak HTTP/2.
    pub(super) async fn handshake_error(&self, address: &str) -> Option<io::Error> {
        let config = Arc::clone(&self.loaded.get().await.config);
        let (host, _) = address.rsplit_once(':')?;
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).ok()?;
        let stream = TcpStream::connect(address).await.ok()?;
        match TlsConnector::from(config).connect(name, stream).await {
            Ok(mut stream) => stream.read_u8().await.err(),
            Err(error) => Some(error),
        }
    }
}

fn load(tls: &StoreTls) -> Result<LoadedTls, TlsError> {
    // This also gives the best description of what is wrong with a file.
    let mut config = client_config(tls.ca.as_ref(), tls.own.as_ref())?;
    config.alpn_protocols = vec![H2.to_vec()];
    Ok(LoadedTls { options: options(tls)?, config: config.into() })
}

fn options(tls: &StoreTls) -> Result<TlsOptions, TlsError> {
    let options = match &tls.ca {
        None => TlsOptions::new().with_webpki_roots(),
        Some(file) => TlsOptions::new().trust_anchors(load_authorities(file)?.roots),
    };
    let Some(files) = &tls.own else { return Ok(options) };
    let TlsFiles { cert, key } = &**files;
    let own = Identity::from_pem(read("a certificate", cert)?, read("a key", key)?);
    Ok(options.identity(own))
}

fn read(what: &'static str, file: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error| TlsError::File { file: file.into(), what, source: pem::Error::Io(error) };
    small_file::read(file).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_reaches_the_same_etcd() {
        let endpoints = ["10.0.0.1:2379".to_owned(), "[::1]:2379".to_owned()];
        assert_eq!(
            etcdctl(&endpoints, None, None),
            "etcdctl --endpoints='10.0.0.1:2379,[::1]:2379'"
        );
        let own = TlsFiles { cert: "/etc/a b.pem".into(), key: "/etc/key.pem".into() };
        let tls = StoreTls { ca: Some("/etc/ca.pem".into()), own: Some(own.into()) };
        assert_eq!(
            etcdctl(&endpoints[..1], Some("soloist"), Some(&tls)),
            "etcdctl --endpoints=https://10.0.0.1:2379 --cacert=/etc/ca.pem \
             --cert='/etc/a b.pem' --key=/etc/key.pem --user=soloist"
        );
    }
}
