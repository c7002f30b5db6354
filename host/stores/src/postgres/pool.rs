//! A few connections for one purpose: opened when they are needed, and kept.
//!
//! Invariant: a connection goes back only when it is known to be clean. One that was left in the
//! middle of a transaction is rolled back first; one without an answer in time is closed.

use std::{mem, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    runtime,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, timeout, timeout_at},
};
use tokio_postgres::Client;

use super::{
    access::PostgresAccess, connection::PostgresConnection, fault::PostgresFault, first_contact,
};
use crate::{StoreError, identity::StoreHistory};

/// How many times longer than a call opening a connection may take: there are a TLS handshake, a
/// login whose password is hashed thousands of times, and perhaps tables to make.
const OPENING: u32 = 5;
/// How long it may take at least: it costs the same, however short the TTL is.
const SHORTEST_OPENING: Duration = Duration::from_secs(2);

/// What all pools of a store share.
#[derive(Clone)]
pub(super) struct PostgresSource {
    pub(super) access: Arc<PostgresAccess>,
    /// A name of the store for people.
    pub(super) label: Arc<str>,
    pub(super) cluster: Arc<str>,
    pub(super) history: Arc<StoreHistory>,
    pub(super) request_timeout: Duration,
}

impl PostgresSource {
    /// How long one server may take to let this host in.
    pub(super) fn opening_timeout(&self) -> Duration {
        self.access.opening_timeout((self.request_timeout * OPENING).max(SHORTEST_OPENING))
    }
}

/// A pool of connections.
pub(super) struct PostgresPool {
    source: PostgresSource,
    /// The runtime that drives the connections, whichever runtime the calls come from.
    runtime: runtime::Handle,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Arc<PostgresConnection>>>,
}

impl PostgresPool {
    /// A pool of up to `size` connections, driven by the current runtime.
    ///
    /// # Errors
    /// [`StoreError::Refused`] outside a tokio runtime.
    pub(super) fn new(source: &PostgresSource, size: usize) -> Result<Arc<Self>, StoreError> {
        let runtime = runtime::Handle::try_current().map_err(|error| StoreError::Refused {
            problem: "no runtime: open the store inside a tokio runtime".into(),
            source: Some(error.into()),
        })?;
        let permits = Arc::new(Semaphore::new(size));
        Ok(Arc::new(Self { source: source.clone(), runtime, permits, idle: Mutex::default() }))
    }

    /// What it shares with the other pools of the store.
    pub(super) fn source(&self) -> &PostgresSource {
        &self.source
    }

    /// The runtime of the connections.
    pub(super) fn runtime(&self) -> &runtime::Handle {
        &self.runtime
    }

    /// A connection that nobody else uses.
    pub(super) async fn take(
        self: &Arc<Self>,
        until: Instant,
    ) -> Result<PooledConnection, PostgresFault> {
        let permit = timeout_at(until, Arc::clone(&self.permits).acquire_owned()).await;
        let permit =
            permit.map_err(|_| PostgresFault::NoTurn)?.map_err(|_| PostgresFault::Closed)?;
        if let Some(connection) = self.idle_connection() {
            return Ok(self.pooled(connection, permit));
        }
        let (reply, answer) = oneshot::channel();
        let pool = Arc::clone(self);
        // Opening goes on if the caller gives up, so that one that takes longer than a call is
        // ready for the next one. Until then it counts as one of the pool's.
        self.runtime.spawn(async move {
            let opened = pool.open().await.map(|it| pool.pooled(Arc::new(it), permit));
            drop(reply.send(opened));
        });
        let opened = timeout_at(until, answer).await.map_err(|_| PostgresFault::TimedOut)?;
        opened.unwrap_or(Err(PostgresFault::Closed))
    }

    async fn open(&self) -> Result<PostgresConnection, PostgresFault> {
        let PostgresSource { access, cluster, .. } = &self.source;
        let within = self.source.opening_timeout();
        first_contact::open(access, cluster, within, &self.runtime, || {}).await
    }

    fn idle_connection(&self) -> Option<Arc<PostgresConnection>> {
        let mut idle = self.idle.lock();
        idle.retain(|connection| !connection.is_closed());
        idle.pop()
    }

    fn pooled(
        self: &Arc<Self>,
        connection: Arc<PostgresConnection>,
        permit: OwnedSemaphorePermit,
    ) -> PooledConnection {
        let condition = ConnectionCondition::Clean;
        PooledConnection { pool: Arc::clone(self), connection, permit: Some(permit), condition }
    }
}

/// What becomes of a connection that is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionCondition {
    /// It may be used again.
    Clean,
    /// A transaction is open on it.
    InTransaction,
    /// It cannot be relied on.
    Unusable,
}

/// A connection in use. It goes back to its pool when this is dropped.
pub(super) struct PooledConnection {
    pool: Arc<PostgresPool>,
    connection: Arc<PostgresConnection>,
    permit: Option<OwnedSemaphorePermit>,
    condition: ConnectionCondition,
}

impl PooledConnection {
    pub(super) fn client(&self) -> &Client {
        &self.connection.client
    }

    /// The number of the cluster in the tables.
    pub(super) fn cluster(&self) -> i32 {
        self.connection.cluster
    }

    pub(super) fn source(&self) -> &PostgresSource {
        &self.pool.source
    }

    /// Says what is to become of it.
    pub(super) fn mark(&mut self, condition: ConnectionCondition) {
        self.condition = condition;
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let Self { pool, connection, .. } = self;
        match self.condition {
            ConnectionCondition::Clean => pool.idle.lock().push(Arc::clone(connection)),
            ConnectionCondition::Unusable => connection.abandon(),
            ConnectionCondition::InTransaction => {
                let (pool, connection) = (Arc::clone(pool), Arc::clone(connection));
                let permit = mem::take(&mut self.permit);
                let runtime = pool.runtime.clone();
                drop(runtime.spawn(async move {
                    let rollback = connection.client.batch_execute("ROLLBACK");
                    match timeout(pool.source.request_timeout, rollback).await {
                        Ok(Ok(())) => pool.idle.lock().push(connection),
                        _ => connection.abandon(),
                    }
                    drop(permit);
                }));
            }
        }
    }
}
