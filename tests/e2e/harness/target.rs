//! A server that plugins send requests to, and that stores them.

use std::net::SocketAddr;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

use super::{PATIENCE, at, own_address};

/// A received request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    pub(crate) fencing_token: i64,
    /// The trace that it belongs to (W3C Trace Context).
    pub(crate) parent: Option<String>,
    pub(crate) body: String,
    /// The status of the answer.
    pub(crate) status: StatusCode,
}

/// The state that outlasts restarts of the server.
#[derive(Clone)]
struct Memory {
    came: watch::Sender<Vec<Came>>,
    status: watch::Sender<StatusCode>,
}

/// The server. At first nothing listens at its address.
pub(crate) struct Target {
    address: SocketAddr,
    memory: Memory,
    server: Option<JoinHandle<()>>,
}

impl Target {
    pub(crate) fn nobody() -> Self {
        let (came, status) = (watch::Sender::new(Vec::new()), watch::Sender::new(StatusCode::OK));
        Self { address: at(own_address(), 5000), memory: Memory { came, status }, server: None }
    }

    /// A server that answers 200.
    pub(crate) async fn started() -> Self {
        let mut target = Self::nobody();
        target.start().await;
        target
    }

    pub(crate) async fn start(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("an address of its own");
        let router = Router::new().fallback(take).with_state(self.memory.clone());
        self.server = Some(tokio::spawn(async {
            axum::serve(listener, router).await.expect("it goes on");
        }));
    }

    /// Sets the status of later answers.
    pub(crate) fn answer(&self, status: StatusCode) {
        self.memory.status.send_replace(status);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far.
    pub(crate) fn came(&self) -> Vec<Came> {
        self.memory.came.borrow().clone()
    }

    /// All requests so far, once `wanted` accepts them.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&[Came]) -> bool) -> Vec<Came> {
        let mut came = self.memory.came.subscribe();
        let found = timeout(PATIENCE, came.wait_for(|came| wanted(came))).await;
        match found {
            Ok(came) => came.expect("it is there").clone(),
            Err(_) => panic!("{what}: not so in {:#?}", self.came()),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

async fn take(
    State(memory): State<Memory>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let status = *memory.status.borrow();
    let came = Came {
        method,
        path: uri.to_string(),
        key: header("idempotency-key").map(ToOwned::to_owned),
        fencing_token: header("soloist-fencing-token")
            .and_then(|text| text.parse().ok())
            .expect("a fencing token"),
        parent: header("traceparent").map(ToOwned::to_owned),
        body: String::from_utf8_lossy(&body).into_owned(),
        status,
    };
    memory.came.send_modify(|list| list.push(came));
    status
}
