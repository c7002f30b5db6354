//! A connection that is made once.
//!
//! A channel of tonic connects anew, unasked, when its connection broke, and whoever
//! answers then is taken for the one of before. Here it does not: what was found out
//! about a member holds for as long as the connection to it does.

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

type BoxError = Box<dyn StdError + Send + Sync>;

/// Connects to a member, once.
#[derive(Clone)]
pub(super) struct OnceConnector {
    connector: HttpConnector,
    used: Arc<AtomicBool>,
}

/// There was a connection, and nothing was sent since.
#[derive(Debug, thiserror::Error)]
#[error("the connection is over")]
struct ConnectionOver;

impl OnceConnector {
    /// On an idle connection TCP asks after this time whether the other side is there.
    pub(super) fn new(probe_after: Duration) -> Self {
        let mut connector = HttpConnector::new();
        // TLS is put on top of it.
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

/// Whether a call was not sent at all, since its connection was over before.
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
