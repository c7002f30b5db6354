//! Connections to other hosts, to etcd and to a trace collector, with TLS or without, as their
//! addresses say.

use std::{
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ::http::Uri;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, MaybeHttpsStream};
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::{ClientConfig, crypto::ring};
use tokio::net::TcpStream;
use tower_service::Service;

use super::{H2, HTTP_1, Reloadable, TlsError, load_authorities, load_key_pair};
use soloist_config::TlsFiles;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Whom to trust at the other end, and which certificate to present. Clones share it.
#[derive(Clone)]
pub struct ClientTls(Arc<Reloadable<ProtocolConfigs>>);

/// One configuration for each protocol, made once for all connections.
struct ProtocolConfigs {
    http_1: Arc<ClientConfig>,
    http_2: Arc<ClientConfig>,
}

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 from the first byte; with TLS, agreed on by ALPN.
    Http2,
}

impl ClientTls {
    /// Trusts servers with a certificate signed by `ca`, or by the authorities that browsers trust
    /// if there is none. Presents the certificate in `own` when it is asked for one.
    pub fn new(ca: Option<PathBuf>, own: Option<Arc<TlsFiles>>) -> Result<Self, TlsError> {
        let files = client_files(ca.as_ref(), own.as_ref());
        let make = move || configs(ca.as_ref(), own.as_ref());
        Ok(Self(Arc::new(Reloadable::new(files, make)?)))
    }

    /// A connector for `protocol`. Connects by `http` where there is no TLS.
    pub fn connector(&self, mut http: HttpConnector, protocol: HttpProtocol) -> MaybeTlsConnector {
        http.enforce_http(false);
        MaybeTlsConnector { http, trust: self.clone(), protocol }
    }
}

fn configs(ca: Option<&PathBuf>, own: Option<&Arc<TlsFiles>>) -> Result<ProtocolConfigs, TlsError> {
    let config = config(ca, own)?;
    let speaking = |protocol: &[u8]| {
        let mut config = config.clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config)
    };
    Ok(ProtocolConfigs { http_1: speaking(HTTP_1), http_2: speaking(H2) })
}

/// Trusts servers with a certificate signed by `ca`, or by the authorities that browsers trust if
/// there is none. Presents the certificate in `own` when it is asked for one.
pub fn config(ca: Option<&PathBuf>, own: Option<&Arc<TlsFiles>>) -> Result<ClientConfig, TlsError> {
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?;
    let config = match ca {
        None => config.with_webpki_roots(),
        Some(file) => config.with_root_certificates(load_authorities(file)?),
    };
    match own {
        None => Ok(config.with_no_client_auth()),
        Some(files) => {
            let (chain, key) = load_key_pair(files)?;
            let failed = |source| TlsError::Pair { files: Arc::clone(files), source };
            config.with_client_auth_cert(chain, key).map_err(failed)
        }
    }
}

/// The files that such a configuration is made of.
pub fn client_files(ca: Option<&PathBuf>, own: Option<&Arc<TlsFiles>>) -> Vec<PathBuf> {
    let pair = own.into_iter().flat_map(|files| [files.cert.clone(), files.key.clone()]);
    ca.into_iter().cloned().chain(pair).collect()
}

/// Opens TCP connections, with TLS where the URI says `https`.
#[derive(Clone)]
pub struct MaybeTlsConnector {
    http: HttpConnector,
    trust: ClientTls,
    protocol: HttpProtocol,
}

impl Service<Uri> for MaybeTlsConnector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { http, trust, protocol } = self.clone();
        Box::pin(async move {
            let configs = trust.0.get().await;
            let config = match protocol {
                HttpProtocol::Http1 => &configs.http_1,
                HttpProtocol::Http2 => &configs.http_2,
            };
            HttpsConnector::from((http, Arc::clone(config))).call(uri).await
        })
    }
}
