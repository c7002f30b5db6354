//! TLS: for the listeners of a host, and for its connections to other hosts and etcd.
//!
//! Invariant: replaced files take effect without a restart, from the next connection on. If the new
//! files cannot be used, the old ones stay in use, and the log says so.

mod client;
mod reloadable;
mod server;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};

pub use self::{
    client::{ClientTls, HttpProtocol, MaybeTlsConnector, client_files, config as client_config},
    reloadable::Reloadable,
    server::ReloadingAcceptor,
};
use soloist_config::{TlsFiles, small_file};

/// The ALPN name of HTTP/2 (RFC 9113, section 3.2).
pub const H2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// rustls's name for the error when a server presents the certificate of an authority.
pub const OF_AUTHORITY: &str = "CaUsedAsEndEntity";

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or contains something else.
    #[error("cannot read {what} from {}: name a file in PEM that this user may read", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What it should contain.
        what: &'static str,
        /// What rustls reports.
        source: rustls::pki_types::pem::Error,
    },
    /// The file contains no certificate.
    #[error("there is no certificate in {}: name a file in PEM with the certificate first, then its intermediate certificates", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// The certificate and the key do not match, or are too weak.
    #[error("cannot use the certificate of {} and the key of {}: check that they belong together", files.cert.display(), files.key.display())]
    Pair {
        /// The files of the pair.
        files: Arc<TlsFiles>,
        /// What rustls reports.
        source: rustls::Error,
    },
    /// The certificates of authorities cannot be used for verification.
    #[error("cannot use {} to verify certificates: name a file in PEM with the certificates of authorities", file.display())]
    Authority {
        /// The file.
        file: PathBuf,
        /// What rustls reports.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// rustls refused the configuration; this is a bug in soloist.
    #[error("TLS could not be set up; please report this")]
    Setup(#[source] rustls::Error),
}

/// The certificates in `file`; at least one.
fn load_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let what = "a certificate";
    let failed = |source| TlsError::File { file: file.to_owned(), what, source };
    let bytes = small_file::read(file).map_err(pem::Error::Io).map_err(failed)?;
    let chain = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(failed)?;
    if chain.is_empty() {
        return Err(TlsError::Empty { file: file.to_owned() });
    }
    Ok(chain)
}

/// The certificate chain and the key in `files`.
fn load_key_pair(
    files: &TlsFiles,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = load_certificates(&files.cert)?;
    let read = small_file::read(&files.key).map_err(pem::Error::Io);
    let key = read.and_then(|bytes| PrivateKeyDer::from_pem_slice(&bytes));
    let key =
        key.map_err(|source| TlsError::File { file: files.key.clone(), what: "a key", source })?;
    Ok((chain, key))
}

/// The certificates of authorities in `file`.
pub fn load_authorities(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in load_certificates(file)? {
        let failed = |source: rustls::Error| TlsError::Authority {
            file: file.to_owned(),
            source: source.into(),
        };
        roots.add(certificate).map_err(failed)?;
    }
    Ok(roots)
}
