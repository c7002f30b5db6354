//! A connector that connects only once.
//!
//! A tonic channel reconnects by itself when its connection breaks, and whoever answers then is
//! taken for the previous server. With this connector it cannot: what was checked about a member
//! holds for as long as the connection lasts.

use std::{
    error::Error as StdError,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use etcd_client::Error;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service;

use crate::error::BoxError;

/// Connects to a member, once.
#[derive(Clone)]
pub(super) struct OnceConnector {
    connector: HttpConnector,
    used: Arc<AtomicBool>,
}

/// The connection has ended, and the request was not sent.
#[derive(Debug, thiserror::Error)]
#[error("the connection is over")]
struct ConnectionOver;

impl OnceConnector {
    /// `probe_after`: the time after which TCP checks whether the other side of an idle connection
    /// is still there.
    pub(super) fn new(probe_after: Duration) -> Self {
        let mut connector = HttpConnector::new();
        // TLS is added on top of it.
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_keepalive(Some(probe_after));
        Self { connector, used: Arc::default() }
    }
}

impl Service<Uri> for OnceConnector {
    type Response = <HttpConnector as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, address: Uri) -> Self::Future {
        if self.used.swap(true, Ordering::Relaxed) {
            return Box::pin(async { Err(ConnectionOver.into()) });
        }
        let connecting = self.connector.call(address);
        Box::pin(async { Ok(connecting.await?) })
    }
}

/// Whether a request was not sent at all, because its connection had already ended.
pub(super) fn was_not_sent(error: &Error) -> bool {
    let mut cause = match error {
        Error::GRpcStatus(status) => status.source(),
        Error::TransportError(error) => error.source(),
        _ => None,
    };
    while let Some(below) = cause {
        if below.is::<ConnectionOver>() {
            return true;
        }
        cause = below.source();
    }
    false
}
