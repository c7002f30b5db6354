//! A transaction: on a connection of its own, within a time limit, on the store that is known.
//!
//! Invariants:
//!
//! - Each transaction first compares the store's identity and revision with what is known, before
//!   anything else is done or believed. What it has read keeps the tables from being dropped or
//!   replaced before it ends.
//! - The server ends a transaction whose host has stopped in the middle of it, within the time
//!   limit of one call, so it holds others up no longer than that.
//! - A wait for a lock ends sooner than the call, so that the server says what it was, and the
//!   connection stays.
//! - All settings are local to the transaction, and no statement has a name, so a pooler may give
//!   the connection to somebody else afterwards.

use std::{future::Future, sync::Arc, time::Duration};

use futures::join;
use tokio::time::{Instant, timeout_at};
use tokio_postgres::{
    Error, Row, SimpleQueryMessage,
    types::{ToSql, Type},
};

use super::{
    fault::PostgresFault,
    pool::{ConnectionCondition, PooledConnection, PostgresPool},
};
use crate::identity::{KnownBefore, ObservedStore};

/// How long the reader of a snapshot may take to use what it has read. It holds no lock that others
/// wait for, but keeps old rows from being removed.
const READER_PATIENCE: Duration = Duration::from_secs(300);

/// A parameter of a statement and its type. The first one of every statement, `$1`, is the
/// cluster's number in the tables; others follow.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// An open transaction. Dropping it gives it up.
pub(super) struct PostgresTransaction {
    connection: PooledConnection,
    until: Instant,
}

impl PostgresTransaction {
    /// Begins a transaction that must have ended by `until`.
    pub(super) async fn begin(
        pool: &Arc<PostgresPool>,
        until: Instant,
    ) -> Result<Self, PostgresFault> {
        let tx = Self { connection: pool.take(until).await?, until };
        let begin = tx.begin_text();
        tx.begin_with(&begin).await
    }

    /// Begins a transaction that reads everything as of one moment, however long it takes: each
    /// call of [`more_time`](Self::more_time) gives it another `until`.
    pub(super) async fn begin_snapshot(
        pool: &Arc<PostgresPool>,
        until: Instant,
    ) -> Result<Self, PostgresFault> {
        let tx = Self { connection: pool.take(until).await?, until };
        let (snapshot, patience) = ("REPEATABLE READ READ ONLY", READER_PATIENCE.as_millis());
        let begin = tx.begin_text_of(snapshot, patience);
        tx.begin_with(&begin).await
    }

    async fn begin_with(mut self, begin: &str) -> Result<Self, PostgresFault> {
        let before = self.known_before();
        self.connection.mark(ConnectionCondition::InTransaction);
        let begun = in_time(self.until, self.connection.client().simple_query(begin)).await;
        let begun = self.begun(begun)?;
        self.compare(before, &begun)?;
        Ok(self)
    }

    /// Lets the following statements take until `until`.
    pub(super) fn more_time(&mut self, until: Instant) {
        self.until = until;
    }

    /// The rows of `sql`, read within a transaction that has no other statement: all of it is sent
    /// at once.
    pub(super) async fn read(
        pool: &Arc<PostgresPool>,
        until: Instant,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, PostgresFault> {
        let mut tx = Self { connection: pool.take(until).await?, until };
        let (begin, before) = (tx.begin_text(), tx.known_before());
        tx.connection.mark(ConnectionCondition::InTransaction);
        let (client, cluster) = (tx.connection.client(), tx.cluster());
        let params = with_cluster(&cluster, params);
        let all = in_time(until, async {
            let (begun, rows, ended) = join!(
                client.simple_query(&begin),
                client.query_typed(sql, &params),
                client.simple_query("COMMIT")
            );
            let all = (begun?, rows?);
            ended.map(|_| all)
        });
        let all = all.await;
        let (begun, rows) = tx.begun(all)?;
        tx.connection.mark(ConnectionCondition::Clean);
        tx.compare(before, &begun)?;
        Ok(rows)
    }

    /// The number of the cluster in the tables.
    fn cluster(&self) -> i32 {
        self.connection.cluster()
    }

    /// The rows that `sql` returns.
    pub(super) async fn query(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, PostgresFault> {
        let (client, cluster) = (self.connection.client(), self.cluster());
        let params = with_cluster(&cluster, params);
        let rows = in_time(self.until, client.query_typed(sql, &params)).await;
        self.checked(rows)
    }

    /// The same for a statement that takes no parameters at all, not even the cluster.
    pub(super) async fn query_alone(&mut self, sql: &str) -> Result<Vec<Row>, PostgresFault> {
        let rows = in_time(self.until, self.connection.client().query_typed(sql, &[])).await;
        self.checked(rows)
    }

    /// The first row that `sql` returns, if there is one.
    pub(super) async fn query_first(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Option<Row>, PostgresFault> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Makes `sql` the last statement, and sends it together with the end of the transaction: so
    /// what it locks is held for no round trip.
    pub(super) async fn finish(
        mut self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, PostgresFault> {
        let (commit, cluster) = (self.commit_text(), self.cluster());
        let (client, params) = (self.connection.client(), with_cluster(&cluster, params));
        let both = in_time(self.until, async {
            let (rows, ended) =
                join!(client.query_typed(sql, &params), client.simple_query(&commit));
            let rows = rows?;
            ended.map(|ended| (rows, ended))
        });
        let both = both.await;
        let (rows, ended) = self.checked(both)?;
        self.committed(&ended);
        Ok(rows)
    }

    /// Ends the transaction.
    pub(super) async fn commit(mut self) -> Result<(), PostgresFault> {
        let commit = self.commit_text();
        let ended = in_time(self.until, self.connection.client().simple_query(&commit)).await;
        let ended = self.checked(ended)?;
        self.committed(&ended);
        Ok(())
    }

    /// A connection on which not even that works is not used again: the next one finds out what
    /// became of the tables, and makes them if they were dropped.
    fn begun<T>(&mut self, done: Result<T, PostgresFault>) -> Result<T, PostgresFault> {
        done.inspect_err(|_| self.connection.mark(ConnectionCondition::Unusable))
    }

    /// A connection without an answer in time is not used again.
    fn checked<T>(&mut self, done: Result<T, PostgresFault>) -> Result<T, PostgresFault> {
        if matches!(done, Err(PostgresFault::TimedOut)) {
            self.connection.mark(ConnectionCondition::Unusable);
        }
        done
    }

    /// Remembers the revision that the store has reached by the transaction.
    fn committed(&mut self, ended: &[SimpleQueryMessage]) {
        self.connection.mark(ConnectionCondition::Clean);
        self.connection.source().history.observe_revision(observed(ended).revision);
    }

    fn known_before(&self) -> KnownBefore {
        self.connection.source().history.known_before()
    }

    fn compare(
        &mut self,
        before: KnownBefore,
        begun: &[SimpleQueryMessage],
    ) -> Result<(), PostgresFault> {
        let compared = self.connection.source().history.compare(before, &observed(begun));
        compared.map_err(|mismatch| {
            // The cluster may have another number there.
            self.connection.mark(ConnectionCondition::Unusable);
            PostgresFault::Mismatch(mismatch)
        })
    }

    fn begin_text(&self) -> String {
        let timeout = self.connection.source().request_timeout.as_millis().max(1);
        self.begin_text_of("READ COMMITTED", timeout)
    }

    /// The beginning of a transaction with a level of isolation, which the server ends when it is
    /// idle for `idle` milliseconds.
    fn begin_text_of(&self, level: &str, idle: u128) -> String {
        let source = self.connection.source();
        let (schema, timeout) = (source.access.schema(), source.request_timeout.as_millis().max(1));
        let (lock_timeout, look) = ((timeout * 3 / 4).max(1), look(self.cluster()));
        format!(
            "BEGIN ISOLATION LEVEL {level};
             SET LOCAL search_path = {schema};
             SET LOCAL lock_timeout = {lock_timeout};
             SET LOCAL statement_timeout = {timeout};
             SET LOCAL idle_in_transaction_session_timeout = {idle};
             {look}"
        )
    }

    fn commit_text(&self) -> String {
        format!("{}; COMMIT", look(self.cluster()))
    }
}

fn with_cluster<'a>(cluster: &'a i32, params: &[Param<'a>]) -> Vec<Param<'a>> {
    [&[(cluster as _, Type::INT4)], params].concat()
}

/// Reads the store's identity, its revision, which counts all changes of the cluster, and how often
/// its fencing tokens were raised.
fn look(cluster: i32) -> String {
    format!(
        "SELECT (SELECT identity FROM store),
                coalesce((SELECT revision FROM rosters WHERE cluster = {cluster}), 0)
              + coalesce((SELECT revision FROM call_queues WHERE cluster = {cluster}), 0)
              + coalesce((SELECT sum(version) FROM state_versions WHERE cluster = {cluster}), 0),
                coalesce((SELECT raises FROM rosters WHERE cluster = {cluster}), 0)"
    )
}

fn observed(answer: &[SimpleQueryMessage]) -> ObservedStore {
    let row = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let field = |at| row.and_then(|row| row.try_get(at).ok().flatten());
    let number = |at| field(at).and_then(|text| text.parse().ok()).unwrap_or_default();
    // The revision itself is raised, so there is no floor.
    let (revision, floor, raises) = (number(1), 0, number(2));
    ObservedStore { identity: field(0).map(ToOwned::to_owned), revision, floor, raises }
}

async fn in_time<T>(
    until: Instant,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, PostgresFault> {
    match timeout_at(until, call).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(PostgresFault::TimedOut),
    }
}
