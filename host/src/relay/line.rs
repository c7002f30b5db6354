//! Connections of HTTP/2 to other hosts, of which each carries one request at a time.
//!
//! By these goes what HTTP/1 would lose: trailers, which it sends only where they were announced,
//! and bodies that flow both ways for long. One request at a time, since what flows on a
//! connection is bounded for all of its requests together: whoever takes nothing of an answer
//! would hold up all others.

use std::{collections::HashMap, sync::Arc};

use ::http::{Request, Response, Uri, Version};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::TokioTimer;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep};
use tower_service::Service;

use super::{
    failed::Failed,
    limits::{HEADER_LIST, IDLE, IDLE_EACH, PING, WINDOW},
};
use crate::action::{Inbound, Tasks};
use soloist_text::with_causes;
use soloist_tls::Connector;

/// The connections that nobody uses, by where they lead, and how more are made.
#[derive(Clone)]
pub(super) struct Lines(Arc<Inner>);

struct Inner {
    connector: Connector,
    tasks: Tasks,
    idle: Mutex<HashMap<String, Vec<Idle>>>,
}

struct Idle {
    sender: SendRequest<Inbound>,
    since: Instant,
}

/// A connection in use; it ends with this, unless it is given back.
pub(super) struct Line {
    lines: Lines,
    to: String,
    sender: SendRequest<Inbound>,
}

impl Line {
    /// Its request was answered in full.
    pub(super) fn give_back(self) {
        let Self { lines, to, sender } = self;
        if sender.is_closed() {
            return;
        }
        let mut idle = lines.idle();
        let none = idle.is_empty();
        let here = idle.entry(to).or_default();
        if here.len() < IDLE_EACH {
            here.push(Idle { sender, since: Instant::now() });
        }
        drop(idle);
        if none {
            let own = lines.clone();
            lines.0.tasks.spawn(async move { own.prune().await });
        }
    }
}

impl Lines {
    /// None yet; what they will be belongs to `tasks`.
    pub(super) fn new(connector: Connector, tasks: &Tasks) -> Self {
        Self(Arc::new(Inner { connector, tasks: tasks.clone(), idle: Mutex::default() }))
    }

    /// Sends `request` by a connection that is open or a new one. One that was closed before
    /// anything was sent on it is no failure: then another is taken.
    pub(super) async fn send(
        &self,
        mut request: Request<Inbound>,
    ) -> Result<(Response<Incoming>, Line), Failed> {
        *request.version_mut() = Version::HTTP_2;
        let uri = request.uri().clone();
        let to = format!("{:?} {:?}", uri.scheme(), uri.authority());
        loop {
            let (mut sender, fresh) = match self.take(&to) {
                Some(sender) => (sender, false),
                None => (self.connect(uri.clone()).await.map_err(Failed::Unreachable)?, true),
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    return Ok((response, Line { lines: self.clone(), to, sender }));
                }
                Err(mut error) => {
                    let unsent = error.take_message();
                    let text = with_causes(&error.into_error());
                    match unsent {
                        Some(unsent) if !fresh => request = unsent,
                        Some(_) => return Err(Failed::Unreachable(text)),
                        None => return Err(Failed::Broken(text)),
                    }
                }
            }
        }
    }

    /// The one that was used last, if there is one.
    fn take(&self, to: &str) -> Option<SendRequest<Inbound>> {
        let mut idle = self.idle();
        let here = idle.get_mut(to)?;
        let found = std::iter::from_fn(|| here.pop()).find(Idle::is_good);
        if here.is_empty() {
            idle.remove(to);
        }
        Some(found?.sender)
    }

    async fn connect(&self, uri: Uri) -> Result<SendRequest<Inbound>, String> {
        let stream = self.0.connector.clone().call(uri).await;
        let stream = stream.map_err(|error| with_causes(&*error))?;
        let mut builder = http2::Builder::new(self.0.tasks.clone());
        builder
            .timer(TokioTimer::new())
            .initial_connection_window_size(WINDOW)
            .initial_stream_window_size(WINDOW)
            .max_header_list_size(HEADER_LIST)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        let (sender, connection) =
            builder.handshake(stream).await.map_err(|error| with_causes(&error))?;
        self.0.tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to another host broke off");
            }
        });
        Ok(sender)
    }

    /// Ends those that nobody has used for a while, until there is none.
    async fn prune(self) {
        loop {
            sleep(IDLE).await;
            let mut idle = self.idle();
            idle.retain(|_, here| {
                here.retain(Idle::is_good);
                !here.is_empty()
            });
            if idle.is_empty() {
                return;
            }
        }
    }

    /// Not to be held across an await.
    fn idle(&self) -> MutexGuard<'_, HashMap<String, Vec<Idle>>> {
        self.0.idle.lock()
    }
}

impl Idle {
    fn is_good(&self) -> bool {
        !self.sender.is_closed() && self.since.elapsed() < IDLE
    }
}
