//! Calls to the store, for its various parts.
//!
//! Invariant: a call is a task of the connections' runtime. So a caller that does not go on, since
//! it waits for processor time or has left, holds no connection and no lock that others wait for.

use std::{future::Future, sync::Arc};

use futures::future::BoxFuture;
use tokio::time::Instant;
use tokio_postgres::Row;

use super::{
    fault::PostgresFault,
    pool::PostgresPool,
    transaction::{Param, PostgresTransaction},
};
use crate::StoreError;
use soloist_telemetry::measure;

/// Makes calls over the connections of one pool.
#[derive(Clone)]
pub(super) struct PostgresCalls {
    pool: Arc<PostgresPool>,
}

/// What is done in a transaction, which it must end, given its arguments.
pub(super) type PostgresWork<A, T> =
    for<'a> fn(PostgresTransaction, &'a A) -> BoxFuture<'a, Result<T, PostgresFault>>;

impl PostgresCalls {
    pub(super) const fn new(pool: Arc<PostgresPool>) -> Self {
        Self { pool }
    }

    pub(super) fn pool(&self) -> &PostgresPool {
        &self.pool
    }

    /// Does `work` in a transaction, within the request time-out.
    pub(super) async fn call<A, T>(
        &self,
        attempted: &'static str,
        args: A,
        work: PostgresWork<A, T>,
    ) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let call = |pool, until| async move { transact(&pool, until, &args, work).await };
        self.task(attempted, call).await
    }

    /// The rows of one statement that reads, within the request time-out.
    pub(super) async fn read<A: Send + Sync + 'static>(
        &self,
        attempted: &'static str,
        sql: &'static str,
        args: A,
        params: fn(&A) -> Vec<Param<'_>>,
    ) -> Result<Vec<Row>, StoreError> {
        let read = |pool, until| async move {
            PostgresTransaction::read(&pool, until, sql, &params(&args)).await
        };
        self.task(attempted, read).await
    }

    /// Runs what `begin` returns as a task; it is given the pool, and when it must have ended.
    pub(super) async fn task<T, F>(
        &self,
        attempted: &'static str,
        begin: impl FnOnce(Arc<PostgresPool>, Instant) -> F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, PostgresFault>> + Send + 'static,
    {
        measure::store_call();
        let until = Instant::now() + self.pool.source().request_timeout;
        let task = self.pool.runtime().spawn(begin(Arc::clone(&self.pool), until));
        // A task that ends without a result was on a runtime that has ended.
        let done = task.await.unwrap_or(Err(PostgresFault::Closed));
        done.map_err(|fault| self.error(attempted, fault))
    }

    /// The error of a caller that attempted `attempted`.
    pub(super) fn error(&self, attempted: &'static str, fault: PostgresFault) -> StoreError {
        fault.into_error(attempted, &self.pool.source().label)
    }
}

/// Does `work` in a transaction that must have ended by `until`. What PostgreSQL gave up for the
/// sake of others is done again.
pub(super) async fn transact<A, T>(
    pool: &Arc<PostgresPool>,
    until: Instant,
    args: &A,
    work: PostgresWork<A, T>,
) -> Result<T, PostgresFault> {
    loop {
        let done = match PostgresTransaction::begin(pool, until).await {
            Ok(tx) => work(tx, args).await,
            Err(fault) => Err(fault),
        };
        match done {
            Err(fault) if fault.may_be_repeated() && Instant::now() < until => {}
            done => return done,
        }
    }
}
