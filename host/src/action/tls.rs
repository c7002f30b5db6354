//! TLS on the addresses of actions: from a certificate and a key to what accepts with them.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

use crate::config::TlsFiles;

/// The protocols that are spoken within TLS, the best one first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [H2, b"http/1.1"];
/// HTTP/2, as TLS names it (RFC 9113, section 3.2).
pub(super) const H2: &[u8] = b"h2";

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of the files cannot be read, or holds something else.
    #[error("cannot read {what} from {}: name a file in PEM that this user may read, in `tls`", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// Why not.
        source: rustls::pki_types::pem::Error,
    },
    /// The file holds no certificate.
    #[error("there is no certificate in {}: name a file in PEM with the certificate first, then those that it hangs on", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// The two do not go together, or are too weak.
    #[error("cannot serve with the certificate of {} and the key of {}: check that they belong together", files.cert.display(), files.key.display())]
    Pair {
        /// The files.
        files: Arc<TlsFiles>,
        /// Why not.
        source: rustls::Error,
    },
}

/// What accepts with the certificate and the key in `files`.
pub(super) fn acceptor(files: &Arc<TlsFiles>) -> Result<TlsAcceptor, TlsError> {
    let failed = |file: &PathBuf, what| {
        let file = file.clone();
        move |source| TlsError::File { file, what, source }
    };
    let read = CertificateDer::pem_file_iter(&files.cert);
    let chain: Vec<_> =
        read.and_then(Iterator::collect).map_err(failed(&files.cert, "a certificate"))?;
    if chain.is_empty() {
        return Err(TlsError::Empty { file: files.cert.clone() });
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(failed(&files.key, "a key"))?;
    let pair = |source| TlsError::Pair { files: Arc::clone(files), source };
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions();
    let config = config.and_then(|it| it.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(pair)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(Arc::new(config).into())
}
