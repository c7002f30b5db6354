//! The steps of a queued call, each made within a transaction.
//!
//! Invariant: each step first raises the revision of the cluster's queued calls, whose lock puts all
//! steps in order. So a follower that has read one revision has seen all changes up to it.

use std::time::Duration;

use bytes::Bytes;
use tokio_postgres::{Row, types::Type};

use crate::{
    CallClaimer, Claim, EndedQueuedCall, QueuedCallHeader, QueuedCallKey, QueuedCallResult,
    QueuedCallState, WaitingCall,
    postgres::{
        fault::PostgresFault,
        roster_writes::{add_lease, without_lease},
        transaction::{Param, PostgresTransaction},
    },
    queued_call::{
        ANSWERS_MAX, AnswerLeases, check_capacity,
        state_names::{DEAD, DONE, QUEUED},
    },
};
use soloist_heart::{LeaseId, clock};

/// Raises the revision of the cluster's queued calls, and holds its lock from then on.
pub(in crate::postgres) const RAISE: &str =
    "UPDATE call_queues SET revision = revision + 1 WHERE cluster = $1
                     RETURNING revision, pg_notify(current_schema() || '_' || $1::text, '')";

/// Reads a queued call, for [`state`].
pub(super) const STATE: &str = "
    SELECT head, at, state, answer, answer_type,
           EXISTS (SELECT FROM claims
                   WHERE claims.cluster = $1 AND claims.task = $2 AND claims.id = $3)
    FROM queued_calls WHERE cluster = $1 AND task = $2 AND id = $3";

/// One queued call, in a transaction.
pub(super) struct QueuedCallStep<'a> {
    pub(super) tx: PostgresTransaction,
    pub(super) key: &'a QueuedCallKey,
}

impl QueuedCallStep<'_> {
    /// New to queued; nothing if it exists.
    pub(super) async fn put(
        mut self,
        head: &QueuedCallHeader,
        payload: &[u8],
        limit: usize,
    ) -> Result<(), PostgresFault> {
        let version = raise(&mut self.tx).await?;
        let task = &*self.key.task;
        let sql = "SELECT count(*) FILTER (WHERE state = 'queued'),
                          count(*) FILTER (WHERE state = 'dead'),
                          EXISTS (SELECT FROM queued_calls
                                  WHERE cluster = $1 AND task = $2 AND id = $3)
                   FROM queued_calls
                   WHERE cluster = $1 AND task = $2 AND state IN ('queued', 'dead')";
        if let Some(row) = self.query_first(sql, &[]).await? {
            let [queued, dead] = [row.try_get::<_, i64>(0)?, row.try_get(1)?];
            if row.try_get(2)? {
                return Ok(());
            }
            check_capacity(task, size(queued), size(dead), limit)
                .map_err(|error| PostgresFault::Limit(error.to_string()))?;
        }
        let sql = "INSERT INTO queued_calls (cluster, task, id, state, version, at, head, payload)
                   VALUES ($1, $2, $3, 'queued', $4, $5, $6, $7)";
        let (at, head) = (now(), serde_json::to_string(head)?);
        let params = [
            (&version as _, Type::INT8),
            (&at as _, Type::INT8),
            (&head as _, Type::TEXT),
            (&payload as _, Type::BYTEA),
        ];
        self.finish(sql, &params).await.map(drop)
    }

    /// Queued to claimed; `None` if the queued call has changed or is claimed.
    pub(super) async fn claim(
        mut self,
        by: &CallClaimer,
        queued: &WaitingCall,
    ) -> Result<Option<(Claim, Bytes)>, PostgresFault> {
        let version = raise(&mut self.tx).await?;
        let sql = "SELECT EXISTS (SELECT FROM leases WHERE lease = $4),
                          claims.version, claims.lease, claims.ticket,
                          queued_calls.version, queued_calls.state, payload
                   FROM (SELECT) AS one
                   LEFT JOIN queued_calls ON queued_calls.cluster = $1
                        AND queued_calls.task = $2 AND queued_calls.id = $3
                   LEFT JOIN claims ON claims.cluster = $1 AND claims.task = $2
                        AND claims.id = $3";
        let Some(row) = self.query_first(sql, &[(&by.lease.0, Type::INT8)]).await? else {
            return Ok(None);
        };
        if !row.try_get(0)? {
            return Err(PostgresFault::LeaseGone);
        }
        let payload = row.try_get::<_, Option<&[u8]>>(6)?.map(Bytes::copy_from_slice);
        let payload = payload.unwrap_or_default();
        let (key, head) = (self.key.clone(), queued.head.claimed_by(&by.host));
        let ticket = by.ticket.cast_signed();
        if let Some(claimed) = row.try_get::<_, Option<i64>>(1)? {
            // An earlier attempt of the same call may have made the claim.
            let ours =
                row.try_get::<_, i64>(2)? == by.lease.0 && row.try_get::<_, i64>(3)? == ticket;
            return Ok(ours.then_some((Claim { key, version: claimed, head }, payload)));
        }
        let found = (row.try_get::<_, Option<i64>>(4)?, row.try_get::<_, Option<&str>>(5)?);
        if found != (Some(queued.version), Some(QUEUED)) {
            return Ok(None);
        }
        self.set_state(version, QUEUED, &head).await?;
        let sql = "INSERT INTO claims (cluster, task, id, version, lease, ticket)
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let params = [
            (&version as _, Type::INT8),
            (&by.lease.0 as _, Type::INT8),
            (&ticket as _, Type::INT8),
        ];
        self.finish(sql, &params).await.map_err(without_lease)?;
        Ok(Some((Claim { key, version, head }, payload)))
    }

    /// Claimed to done. Returns the lease that the answer hangs on: `present`, or a new one.
    pub(super) async fn complete(
        mut self,
        claim: &Claim,
        answer: &QueuedCallResult,
        keep: Duration,
        present: Option<LeaseId>,
    ) -> Result<LeaseId, PostgresFault> {
        let version = raise(&mut self.tx).await?;
        self.end_claim(claim).await?;
        let lease = answer_lease(&mut self.tx, keep, present).await?;
        self.set_state(version, DONE, &claim.head).await?;
        self.delete_excess_answers().await?;
        let sql = "UPDATE queued_calls
                   SET payload = NULL, answer = $4, answer_type = $5, lease = $6
                   WHERE cluster = $1 AND task = $2 AND id = $3";
        let (payload, form) = (&*answer.payload, &answer.content_type);
        let params =
            [(&payload as _, Type::BYTEA), (form as _, Type::TEXT), (&lease.0 as _, Type::INT8)];
        self.finish(sql, &params).await?;
        Ok(lease)
    }

    /// Claimed to queued or dead.
    pub(super) async fn end(
        mut self,
        claim: &Claim,
        state: &str,
        head: &QueuedCallHeader,
    ) -> Result<(), PostgresFault> {
        let version = raise(&mut self.tx).await?;
        self.end_claim(claim).await?;
        self.set_state(version, state, head).await?;
        self.tx.commit().await
    }

    /// Dead to queued. Returns whether the queued call was dead.
    pub(super) async fn replay(mut self) -> Result<bool, PostgresFault> {
        let version = raise(&mut self.tx).await?;
        let sql = "SELECT head, at FROM queued_calls
                   WHERE cluster = $1 AND task = $2 AND id = $3 AND state = 'dead'";
        let Some(row) = self.query_first(sql, &[]).await? else { return Ok(false) };
        let head = ended(&row, self.key)?.head.replayed();
        self.set_state(version, QUEUED, &head).await?;
        self.tx.commit().await.map(|()| true)
    }

    /// Ends a claim, if it still exists.
    async fn end_claim(&mut self, claim: &Claim) -> Result<(), PostgresFault> {
        let sql = "DELETE FROM claims
                   WHERE cluster = $1 AND task = $2 AND id = $3 AND version = $4 RETURNING 1";
        let stood = self.query_first(sql, &[(&claim.version, Type::INT8)]).await?;
        stood.map(drop).ok_or(PostgresFault::Conflict)
    }

    /// Changes the queued call's state.
    async fn set_state(
        &mut self,
        version: i64,
        state: &str,
        head: &QueuedCallHeader,
    ) -> Result<(), PostgresFault> {
        let sql = "UPDATE queued_calls SET version = $4, state = $5, at = $6, head = $7
                   WHERE cluster = $1 AND task = $2 AND id = $3";
        let (at, head) = (now(), serde_json::to_string(head)?);
        let params = [
            (&version as _, Type::INT8),
            (&state as _, Type::TEXT),
            (&at as _, Type::INT8),
            (&head as _, Type::TEXT),
        ];
        self.query(sql, &params).await.map(drop)
    }

    /// Deletes the answers of the oldest queued calls if there are too many.
    async fn delete_excess_answers(&mut self) -> Result<(), PostgresFault> {
        let sql = "SELECT count(*) FROM queued_calls
                   WHERE cluster = $1 AND state = 'done' AND task = $2";
        let row = self.query_first(sql, &[]).await?;
        let count: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
        let over = size(count).saturating_sub(ANSWERS_MAX);
        if over == 0 {
            return Ok(());
        }
        let sql = "DELETE FROM queued_calls WHERE cluster = $1 AND task = $2 AND id IN (
                       SELECT id FROM queued_calls
                       WHERE cluster = $1 AND state = 'done' AND task = $2
                       ORDER BY id LIMIT $4)";
        let over = i64::try_from(over).unwrap_or(i64::MAX);
        self.query(sql, &[(&over, Type::INT8)]).await.map(drop)
    }

    /// The rows of a statement about this queued call: `$2` is its task, `$3` its id.
    async fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, PostgresFault> {
        let (task, id) = (&*self.key.task, &*self.key.id);
        self.tx
            .query(sql, &[&[(&task as _, Type::TEXT), (&id as _, Type::TEXT)], params].concat())
            .await
    }

    async fn query_first(
        &mut self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Option<Row>, PostgresFault> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// The same for the last statement.
    async fn finish(self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, PostgresFault> {
        let (task, id) = (&*self.key.task, &*self.key.id);
        self.tx
            .finish(sql, &[&[(&task as _, Type::TEXT), (&id as _, Type::TEXT)], params].concat())
            .await
    }
}

/// Deletes one dead letter of a task, or all of them. Returns how many.
pub(super) async fn purge(
    mut tx: PostgresTransaction,
    task: &str,
    id: Option<&str>,
) -> Result<usize, PostgresFault> {
    raise(&mut tx).await?;
    let sql = "DELETE FROM queued_calls
               WHERE cluster = $1 AND state = 'dead' AND task = $2 AND id = coalesce($3, id)
               RETURNING 1";
    Ok(tx.finish(sql, &[(&task, Type::TEXT), (&id, Type::TEXT)]).await?.len())
}

/// The lease for an answer that is written now: `present`, or a new one. One that is over is not in
/// the table any more, and whoever ends one waits for this transaction.
pub(in crate::postgres) async fn answer_lease(
    tx: &mut PostgresTransaction,
    keep: Duration,
    present: Option<LeaseId>,
) -> Result<LeaseId, PostgresFault> {
    if let Some(lease) = present {
        let sql = "SELECT FROM leases WHERE lease = $2 AND cluster = $1 FOR KEY SHARE";
        if tx.query_first(sql, &[(&lease.0, Type::INT8)]).await?.is_some() {
            return Ok(lease);
        }
    }
    add_lease(tx, AnswerLeases::ttl(keep)).await
}

/// Raises the revision of the cluster's queued calls, and returns it: the version of what is written
/// then.
pub(in crate::postgres) async fn raise(tx: &mut PostgresTransaction) -> Result<i64, PostgresFault> {
    let raised = tx.query_first(RAISE, &[]).await?;
    Ok(raised.ok_or_else(PostgresFault::cluster_is_gone)?.try_get(0)?)
}

/// The state of the queued call in a row of [`STATE`].
pub(super) fn state(row: &Row, key: &QueuedCallKey) -> Result<QueuedCallState, PostgresFault> {
    let ended = ended(row, key)?;
    Ok(match row.try_get(2)? {
        DONE => {
            let payload = row.try_get::<_, Option<&[u8]>>(3)?.unwrap_or_default();
            let payload = Bytes::copy_from_slice(payload);
            QueuedCallState::Done(
                ended,
                QueuedCallResult { payload, content_type: row.try_get(4)? },
            )
        }
        DEAD => QueuedCallState::Dead(ended),
        _ if row.try_get(5)? => QueuedCallState::Claimed(ended.head),
        _ => QueuedCallState::Queued(ended.head),
    })
}

/// Parses the header in the first column of a row, and the time in the second. What soloist did not
/// write is refused, since waiting would not help.
pub(super) fn ended(row: &Row, key: &QueuedCallKey) -> Result<EndedQueuedCall, PostgresFault> {
    let (head, at): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
    let foreign = |error| {
        PostgresFault::refused(format!(
            "the store holds what soloist has not written, in the row of the queued call `{key}`: \
             delete it ({error})"
        ))
    };
    Ok(EndedQueuedCall {
        head: serde_json::from_str(head).map_err(foreign)?,
        at: at.unsigned_abs(),
    })
}

fn size(count: i64) -> usize {
    usize::try_from(count).unwrap_or_default()
}

fn now() -> i64 {
    clock::unix_ms().cast_signed()
}
