//! The steps of a queued call, each made within a transaction.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::{
    CallClaimer, Claim, EndedQueuedCall, QueuedCallHeader, QueuedCallKey, QueuedCallResult,
    QueuedCallState, WaitingCall,
    queued_call::{
        ANSWERS_MAX, AnswerLeases, check_capacity,
        state_names::{DEAD, DONE, QUEUED},
    },
    sqlite::{
        file::{grant, must_live},
        sqlite_fault::SqliteFault,
        state_store::next_version,
    },
};
use soloist_heart::{LeaseId, clock};

/// One queued call, in a transaction.
pub(super) struct QueuedCallRow<'a> {
    pub(super) tx: &'a Transaction<'a>,
    pub(super) cluster: &'a str,
    pub(super) key: &'a QueuedCallKey,
}

impl QueuedCallRow<'_> {
    pub(super) fn exists(&self) -> Result<bool, SqliteFault> {
        Ok(self.state()?.is_some())
    }

    /// New to queued.
    pub(super) fn put(
        &self,
        head: &QueuedCallHeader,
        payload: &[u8],
        limit: usize,
    ) -> Result<(), SqliteFault> {
        let (queued, dead) = (self.count(QUEUED)?, self.count(DEAD)?);
        check_capacity(&self.key.task, queued, dead, limit).map_err(SqliteFault::from_limit)?;
        let sql = "INSERT INTO queued_calls (cluster, task, id, state, version, at, head, payload)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let (version, at) = (next_version(self.tx)?, now());
        let QueuedCallKey { task, id } = self.key;
        let row = params![self.cluster, task, id, QUEUED, version, at, json(head)?, payload];
        self.tx.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    /// Queued to claimed; `None` if the queued call has changed or is claimed.
    pub(super) fn claim(
        &self,
        by: &CallClaimer,
        queued: &WaitingCall,
    ) -> Result<Option<(Claim, Bytes)>, SqliteFault> {
        must_live(self.tx, by.lease)?;
        let head = queued.head.claimed_by(&by.host);
        if let Some((version, holder, ticket)) = self.claimed()? {
            // An earlier attempt of the same call may have made the claim.
            let ours = holder == by.lease && ticket == by.ticket.cast_signed();
            return if ours { self.claim_with_payload(version, head).map(Some) } else { Ok(None) };
        }
        let sql = "SELECT version FROM queued_calls
                   WHERE cluster = ?1 AND task = ?2 AND id = ?3 AND state = ?4";
        let QueuedCallKey { task, id } = self.key;
        let mut found = self.tx.prepare_cached(sql)?;
        let found: Option<i64> = found
            .query_row(params![self.cluster, task, id, QUEUED], |row| row.get(0))
            .optional()?;
        if found != Some(queued.version) {
            return Ok(None);
        }
        let version = self.set_state(QUEUED, &head)?;
        let sql = "INSERT INTO claims (cluster, task, id, lease, version, ticket)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let ticket = by.ticket.cast_signed();
        let row = params![self.cluster, task, id, by.lease.0, version, ticket];
        self.tx.prepare_cached(sql)?.execute(row)?;
        self.claim_with_payload(version, head).map(Some)
    }

    /// Claimed to done.
    pub(super) fn done(
        &self,
        claim: &Claim,
        answer: &QueuedCallResult,
        lease: LeaseId,
    ) -> Result<(), SqliteFault> {
        self.end_claim(claim)?;
        self.set_state(DONE, &claim.head)?;
        let sql =
            "UPDATE queued_calls SET payload = NULL, answer = ?4, answer_type = ?5, lease = ?6
                   WHERE cluster = ?1 AND task = ?2 AND id = ?3";
        let QueuedCallKey { task, id } = self.key;
        let (payload, form) = (&*answer.payload, &answer.content_type);
        let row = params![self.cluster, task, id, payload, form, lease.0];
        self.tx.prepare_cached(sql)?.execute(row)?;
        self.delete_excess_answers()
    }

    /// Claimed to queued.
    pub(super) fn again(&self, claim: &Claim, head: &QueuedCallHeader) -> Result<(), SqliteFault> {
        self.end_claim(claim)?;
        self.set_state(QUEUED, head).map(drop)
    }

    /// Claimed to dead.
    pub(super) fn bury(&self, claim: &Claim, head: &QueuedCallHeader) -> Result<(), SqliteFault> {
        self.end_claim(claim)?;
        self.set_state(DEAD, head).map(drop)
    }

    /// Dead to queued. Returns whether the queued call was dead.
    pub(super) fn replay(&self) -> Result<bool, SqliteFault> {
        let Some((state, EndedQueuedCall { head, .. })) = self.state()? else { return Ok(false) };
        if state != DEAD {
            return Ok(false);
        }
        self.set_state(QUEUED, &head.replayed())?;
        Ok(true)
    }

    /// The queued call's state.
    pub(super) fn look(&self) -> Result<Option<QueuedCallState>, SqliteFault> {
        let Some((state, ended)) = self.state()? else { return Ok(None) };
        Ok(Some(match &*state {
            DONE => QueuedCallState::Done(ended, self.answer()?),
            DEAD => QueuedCallState::Dead(ended),
            _ if self.claimed()?.is_some() => QueuedCallState::Claimed(ended.head),
            _ => QueuedCallState::Queued(ended.head),
        }))
    }

    /// The dead letters of the same task whose ids come after this queued call's.
    pub(super) fn dead_after(
        &self,
        limit: usize,
    ) -> Result<Vec<(QueuedCallKey, EndedQueuedCall)>, SqliteFault> {
        let sql = "SELECT id, head, at FROM queued_calls
                   WHERE cluster = ?1 AND task = ?2 AND id > ?3 AND state = ?4
                   ORDER BY id LIMIT ?5";
        let QueuedCallKey { task, id } = self.key;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut dead = self.tx.prepare_cached(sql)?;
        let mut rows = dead.query(params![self.cluster, task, id, DEAD, limit])?;
        let mut dead = Vec::new();
        while let Some(row) = rows.next()? {
            let id: String = row.get(0)?;
            let key = QueuedCallKey::new(task.clone(), id);
            match ended(row, &key, 1) {
                Ok(ended) => dead.push((key, ended)),
                Err(error) => tracing::warn!(%error, "a dead letter is left out"),
            }
        }
        Ok(dead)
    }

    /// The queued call's state, its header, and when it was written.
    fn state(&self) -> Result<Option<(String, EndedQueuedCall)>, SqliteFault> {
        let sql =
            "SELECT state, head, at FROM queued_calls WHERE cluster = ?1 AND task = ?2 AND id = ?3";
        let QueuedCallKey { task, id } = self.key;
        let mut found = self.tx.prepare_cached(sql)?;
        let mut rows = found.query(params![self.cluster, task, id])?;
        rows.next()?.map(|row| Ok((row.get(0)?, ended(row, self.key, 1)?))).transpose()
    }

    /// The version, the lease and the ticket of the claim on the queued call.
    fn claimed(&self) -> Result<Option<(i64, LeaseId, i64)>, SqliteFault> {
        let sql = "SELECT version, lease, ticket FROM claims
                   WHERE cluster = ?1 AND task = ?2 AND id = ?3";
        let QueuedCallKey { task, id } = self.key;
        let claim = |row: &Row<'_>| Ok((row.get(0)?, LeaseId(row.get(1)?), row.get(2)?));
        let mut found = self.tx.prepare_cached(sql)?;
        Ok(found.query_row(params![self.cluster, task, id], claim).optional()?)
    }

    /// A claim, with the payload, as it is returned to its host.
    fn claim_with_payload(
        &self,
        version: i64,
        head: QueuedCallHeader,
    ) -> Result<(Claim, Bytes), SqliteFault> {
        let sql = "SELECT payload FROM queued_calls WHERE cluster = ?1 AND task = ?2 AND id = ?3";
        let QueuedCallKey { task, id } = self.key;
        let mut found = self.tx.prepare_cached(sql)?;
        let payload: Vec<u8> =
            found.query_row(params![self.cluster, task, id], |row| row.get(0))?;
        Ok((Claim { key: self.key.clone(), version, head }, payload.into()))
    }

    fn answer(&self) -> Result<QueuedCallResult, SqliteFault> {
        let sql = "SELECT answer, answer_type FROM queued_calls
                   WHERE cluster = ?1 AND task = ?2 AND id = ?3";
        let QueuedCallKey { task, id } = self.key;
        let answer = |row: &Row<'_>| {
            let payload: Vec<u8> = row.get(0)?;
            Ok(QueuedCallResult { payload: payload.into(), content_type: row.get(1)? })
        };
        let mut found = self.tx.prepare_cached(sql)?;
        Ok(found.query_row(params![self.cluster, task, id], answer)?)
    }

    /// Ends a claim, if it still exists.
    fn end_claim(&self, claim: &Claim) -> Result<(), SqliteFault> {
        let sql = "DELETE FROM claims
                   WHERE cluster = ?1 AND task = ?2 AND id = ?3 AND version = ?4";
        let QueuedCallKey { task, id } = self.key;
        let row = params![self.cluster, task, id, claim.version];
        let stood = self.tx.prepare_cached(sql)?.execute(row)? > 0;
        if stood { Ok(()) } else { Err(SqliteFault::Conflict) }
    }

    /// Changes the queued call's state, and returns its new version.
    fn set_state(&self, state: &str, head: &QueuedCallHeader) -> Result<i64, SqliteFault> {
        let sql = "UPDATE queued_calls SET state = ?4, version = ?5, at = ?6, head = ?7
                   WHERE cluster = ?1 AND task = ?2 AND id = ?3";
        let (version, at) = (next_version(self.tx)?, now());
        let QueuedCallKey { task, id } = self.key;
        let row = params![self.cluster, task, id, state, version, at, json(head)?];
        self.tx.prepare_cached(sql)?.execute(row)?;
        Ok(version)
    }

    fn count(&self, state: &str) -> Result<usize, SqliteFault> {
        let sql =
            "SELECT count(*) FROM queued_calls WHERE cluster = ?1 AND state = ?2 AND task = ?3";
        let row = params![self.cluster, state, self.key.task];
        let count: i64 = self.tx.prepare_cached(sql)?.query_row(row, |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Deletes the answers of the oldest queued calls if there are too many.
    fn delete_excess_answers(&self) -> Result<(), SqliteFault> {
        let over = self.count(DONE)?.saturating_sub(ANSWERS_MAX);
        if over == 0 {
            return Ok(());
        }
        let sql = "DELETE FROM queued_calls WHERE rowid IN (
                     SELECT rowid FROM queued_calls WHERE cluster = ?1 AND state = ?2 AND task = ?3
                     ORDER BY id LIMIT ?4)";
        let over = i64::try_from(over).unwrap_or(i64::MAX);
        let row = params![self.cluster, DONE, self.key.task, over];
        self.tx.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }
}

/// Deletes one dead letter of a task, or all of them. Returns how many.
pub(super) fn purge(
    tx: &Transaction<'_>,
    cluster: &str,
    task: &str,
    id: Option<&str>,
) -> Result<usize, SqliteFault> {
    let sql = "DELETE FROM queued_calls
               WHERE cluster = ?1 AND state = ?2 AND task = ?3 AND id = coalesce(?4, id)";
    Ok(tx.prepare_cached(sql)?.execute(params![cluster, DEAD, task, id])?)
}

/// The lease for an answer that is written now: the current one, or a new one.
pub(in crate::sqlite) fn answer_lease(
    tx: &Transaction<'_>,
    present: Option<LeaseId>,
    keep: Duration,
    boot: &str,
) -> Result<LeaseId, SqliteFault> {
    match present {
        Some(lease) if must_live(tx, lease).is_ok() => Ok(lease),
        _ => grant(tx, AnswerLeases::ttl(keep), boot),
    }
}

/// Parses the header in a row, and the time in the column after it. What soloist did not write is
/// refused, since waiting would not help.
fn ended(row: &Row<'_>, key: &QueuedCallKey, first: usize) -> Result<EndedQueuedCall, SqliteFault> {
    let (head, at): (String, i64) = (row.get(first)?, row.get(first + 1)?);
    let foreign = |error| {
        SqliteFault::refused(format!(
            "the store holds data that soloist did not write, in the row of the queued call \
             `{key}`: delete it ({error})"
        ))
    };
    Ok(EndedQueuedCall {
        head: serde_json::from_str(&head).map_err(foreign)?,
        at: at.unsigned_abs(),
    })
}

fn json(head: &QueuedCallHeader) -> Result<String, SqliteFault> {
    Ok(serde_json::to_string(head)?)
}

fn now() -> i64 {
    clock::unix_ms().cast_signed()
}
