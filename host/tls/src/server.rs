//! Accepts TLS connections with a certificate and a key.

use std::{io, path::PathBuf, sync::Arc};

use rustls::{ServerConfig, crypto::ring, server::WebPkiClientVerifier};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{H2, HTTP_1, Reloadable, TlsError, load_authorities, load_key_pair};
use soloist_config::TlsFiles;

/// The protocols within TLS, in order of preference (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [H2, HTTP_1];

/// Accepts TLS connections. Clones share the files.
#[derive(Clone)]
pub struct ReloadingAcceptor(Arc<Reloadable<Arc<ServerConfig>>>);

impl ReloadingAcceptor {
    /// Uses the certificate and the key in `files`.
    pub fn new(files: &Arc<TlsFiles>) -> Result<Self, TlsError> {
        Self::build(files, None)
    }

    /// Like [`new`](Self::new), and verifies client certificates: one signed by `authority` is
    /// accepted, another one is refused. A client without a certificate is accepted.
    pub fn with_client_ca(files: &Arc<TlsFiles>, authority: PathBuf) -> Result<Self, TlsError> {
        Self::build(files, Some(authority))
    }

    fn build(files: &Arc<TlsFiles>, authority: Option<PathBuf>) -> Result<Self, TlsError> {
        let watched = [files.cert.clone(), files.key.clone()].into_iter().chain(authority.clone());
        let files = Arc::clone(files);
        let fresh = Reloadable::new(watched.collect(), move || config(&files, authority.as_ref()))?;
        Ok(Self(Arc::new(fresh)))
    }

    /// Performs the TLS handshake on `stream`.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&*self.0.get().await);
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn config(
    files: &Arc<TlsFiles>,
    authority: Option<&PathBuf>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, key) = load_key_pair(files)?;
    let failed = |source| TlsError::Pair { files: Arc::clone(files), source };
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?;
    let config = match authority {
        None => config.with_no_client_auth(),
        Some(file) => {
            let roots = Arc::new(load_authorities(file)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .allow_unauthenticated()
                .build();
            config.with_client_cert_verifier(verifier.map_err(|error| TlsError::Authority {
                file: file.clone(),
                source: error.into(),
            })?)
        }
    };
    let mut config = config.with_single_cert(chain, key).map_err(failed)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(Arc::new(config))
}
