//! TLS for tokio-postgres, by rustls.
//!
//! The login is not bound to the TLS channel (RFC 5929): a certificate that is verified keeps
//! others out, and without one, as with `sslmode=require`, whoever is in between could refuse the
//! binding, too.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use rustls::{
    ClientConfig,
    pki_types::{InvalidDnsNameError, ServerName},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    Socket,
    tls::{self as postgres_tls, ChannelBinding, MakeTlsConnect, TlsConnect},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Makes the TLS connection for one connection to the server.
#[derive(Clone)]
pub(super) struct PostgresConnector(pub(super) Option<Arc<ClientConfig>>);

impl MakeTlsConnect<Socket> for PostgresConnector {
    type Stream = PostgresTlsStream;
    type TlsConnect = PostgresHandshake;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<PostgresHandshake, InvalidDnsNameError> {
        let Some(config) = &self.0 else { return Ok(PostgresHandshake(None)) };
        let name = ServerName::try_from(host.to_owned())?;
        Ok(PostgresHandshake(Some((TlsConnector::from(Arc::clone(config)), name))))
    }
}

/// A TLS handshake to come; none if TLS is not spoken.
pub(super) struct PostgresHandshake(Option<(TlsConnector, ServerName<'static>)>);

impl TlsConnect<Socket> for PostgresHandshake {
    type Stream = PostgresTlsStream;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<PostgresTlsStream>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async {
            let (connector, name) = self.0.ok_or(io::ErrorKind::Unsupported)?;
            connector.connect(name, socket).await.map(PostgresTlsStream)
        })
    }
}

/// A connection by TLS.
pub(super) struct PostgresTlsStream(TlsStream<Socket>);

impl postgres_tls::TlsStream for PostgresTlsStream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for PostgresTlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for PostgresTlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
