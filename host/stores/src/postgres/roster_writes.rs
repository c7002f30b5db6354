//! Writing sessions, candidates, members and notes.
//!
//! Invariant: whatever a roster shows is changed only by a statement that raises the roster's
//! revision first. The lock on its row puts all changes in order, and with them the create
//! revisions: who commits later has a greater one. As all take that lock first, none of them waits
//! for another in a circle.

use std::time::Duration;

use tokio_postgres::{Row, error::SqlState, types::Type};

use super::{fault::PostgresFault, transaction::PostgresTransaction};
use crate::Lease;
use soloist_heart::{FencingToken, Group, LeaseId};

/// The create revision of a rehearsal's candidate.
const REHEARSAL: i64 = -1;

/// A statement that raises the revision if `condition` holds and then does the rest, which can join
/// `raised`. Those who listen are notified when it commits.
fn raising(condition: &str, rest: &str) -> String {
    format!(
        "WITH raised AS (
             UPDATE rosters SET revision = revision + 1 WHERE cluster = $1 AND {condition}
             RETURNING revision, pg_notify(current_schema() || '_' || $1::text, '')
         )
         {rest}"
    )
}

/// Grants a lease.
pub(super) async fn grant(tx: PostgresTransaction, ttl: Duration) -> Result<Lease, PostgresFault> {
    let lease = fresh_lease();
    tx.finish(ADD_LEASE, &[(&lease.0, Type::INT8), (&millis(ttl), Type::INT8)]).await?;
    Ok(Lease { id: lease, ttl })
}

/// Adds a lease, as part of a larger transaction.
pub(super) async fn add_lease(
    tx: &mut PostgresTransaction,
    ttl: Duration,
) -> Result<LeaseId, PostgresFault> {
    let lease = fresh_lease();
    tx.query(ADD_LEASE, &[(&lease.0, Type::INT8), (&millis(ttl), Type::INT8)]).await?;
    Ok(lease)
}

const ADD_LEASE: &str =
    "INSERT INTO leases (lease, cluster, ttl_ms, counter) VALUES ($2, $1, $3, 0)";

/// A random id, so that a lease of a schema that was dropped is never mistaken for one of its
/// successor.
fn fresh_lease() -> LeaseId {
    LeaseId(fastrand::i64(1..1 << 53))
}

fn millis(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)
}

/// Renews a lease and returns its time to live.
pub(super) async fn renew(
    tx: PostgresTransaction,
    lease: LeaseId,
) -> Result<Duration, PostgresFault> {
    let sql = "UPDATE leases SET counter = counter + 1 WHERE lease = $2 AND cluster = $1
               RETURNING ttl_ms";
    let rows = tx.finish(sql, &[(&lease.0, Type::INT8)]).await?;
    let ttl: i64 = rows.first().ok_or(PostgresFault::LeaseGone)?.try_get(0)?;
    Ok(Duration::from_millis(ttl.unsigned_abs()))
}

/// Ends a lease with all that is attached to it, if it exists.
pub(super) async fn revoke(tx: PostgresTransaction, lease: LeaseId) -> Result<(), PostgresFault> {
    let sql = raising(
        "EXISTS (SELECT FROM leases WHERE lease = $2 AND leases.cluster = $1)",
        "DELETE FROM leases USING raised WHERE lease = $2 AND cluster = $1",
    );
    tx.finish(&sql, &[(&lease.0, Type::INT8)]).await.map(drop)
}

/// Ends a lease if its counter still is `counter`. Returns whether it was.
pub(super) async fn end_unrenewed(
    tx: PostgresTransaction,
    lease: LeaseId,
    counter: i64,
) -> Result<bool, PostgresFault> {
    let sql = raising(
        "EXISTS (SELECT FROM leases
                 WHERE lease = $2 AND counter = $3 AND leases.cluster = $1)",
        "DELETE FROM leases USING raised WHERE lease = $2 AND counter = $3 AND cluster = $1
         RETURNING 1",
    );
    let params = [(&lease.0 as _, Type::INT8), (&counter as _, Type::INT8)];
    Ok(!tx.finish(&sql, &params).await?.is_empty())
}

/// Adds a candidate to the queue, or finds it there. Returns its fencing token.
pub(super) async fn stand(
    tx: PostgresTransaction,
    group: &Group,
    lease: LeaseId,
    value: &str,
) -> Result<FencingToken, PostgresFault> {
    let sql = raising(
        "true",
        "INSERT INTO candidates (cluster, create_revision, grp, lease, value)
         SELECT $1, revision, $2, $3, $4 FROM raised
         ON CONFLICT (cluster, grp, lease) DO UPDATE SET value = $4
         RETURNING create_revision",
    );
    let params = [
        (&group.as_str() as _, Type::TEXT),
        (&lease.0 as _, Type::INT8),
        (&value as _, Type::TEXT),
    ];
    let rows = tx.finish(&sql, &params).await.map_err(without_lease)?;
    Ok(FencingToken(first(&rows)?.try_get(0)?))
}

/// Removes the candidate of `lease` from the queue of `group`, if it is there; with `only`, only
/// the one of that fencing token.
pub(super) async fn withdraw(
    tx: PostgresTransaction,
    group: &Group,
    lease: LeaseId,
    only: Option<FencingToken>,
) -> Result<(), PostgresFault> {
    const IT: &str = "candidates.cluster = $1 AND grp = $2 AND lease = $3
                      AND create_revision = coalesce($4, create_revision)";
    let sql = raising(
        &format!("EXISTS (SELECT FROM candidates WHERE {IT})"),
        &format!("DELETE FROM candidates USING raised WHERE {IT}"),
    );
    let only = only.map(|token| token.0);
    let params =
        [(&group.as_str() as _, Type::TEXT), (&lease.0 as _, Type::INT8), (&only as _, Type::INT8)];
    tx.finish(&sql, &params).await.map(drop)
}

/// Replaces a candidate's entry.
pub(super) async fn proclaim(
    tx: PostgresTransaction,
    fencing_token: FencingToken,
    value: &str,
) -> Result<(), PostgresFault> {
    let sql = raising(
        "EXISTS (SELECT FROM candidates WHERE candidates.cluster = $1 AND create_revision = $2)",
        "UPDATE candidates SET value = $3 FROM raised
         WHERE cluster = $1 AND create_revision = $2 RETURNING 1",
    );
    let params = [(&fencing_token.0 as _, Type::INT8), (&value as _, Type::TEXT)];
    let rows = tx.finish(&sql, &params).await?;
    rows.first().map(drop).ok_or(PostgresFault::NotLeader)
}

/// Adds a candidate to the queue and removes it again, with a create revision that no other
/// candidate has. It needs the same from the server as a campaign does, and nobody sees it.
pub(super) async fn rehearse(
    mut tx: PostgresTransaction,
    group: &Group,
    lease: LeaseId,
) -> Result<(), PostgresFault> {
    tx.query("UPDATE rosters SET revision = revision WHERE cluster = $1", &[]).await?;
    let sql = "INSERT INTO candidates (cluster, create_revision, grp, lease, value)
               VALUES ($1, $2, $3, $4, repeat(' ', 256))";
    // This host's real candidate may already be in the group's queue, so another group's name is
    // used, which no group can have.
    let group = format!("/{group}");
    let params =
        [(&REHEARSAL as _, Type::INT8), (&group as _, Type::TEXT), (&lease.0 as _, Type::INT8)];
    tx.query(sql, &params).await.map_err(without_lease)?;
    let sql = "DELETE FROM candidates WHERE cluster = $1 AND create_revision = $2";
    tx.finish(sql, &params[..1]).await.map(drop)
}

/// Takes the lock that all changes of the roster take, and raises its revision.
pub(super) async fn lock_roster(tx: &mut PostgresTransaction) -> Result<(), PostgresFault> {
    tx.query(&raising("true", "SELECT FROM raised"), &[]).await.map(drop)
}

/// Writes a member's entry under the roster's lock, and ends the transaction.
pub(super) async fn put_member(
    tx: PostgresTransaction,
    lease: LeaseId,
    name: &str,
    value: &str,
) -> Result<(), PostgresFault> {
    let sql = "INSERT INTO members (cluster, name, lease, value) VALUES ($1, $2, $3, $4)
               ON CONFLICT (cluster, name) DO UPDATE SET lease = $3, value = $4";
    let params = [(&name as _, Type::TEXT), (&lease.0 as _, Type::INT8), (&value as _, Type::TEXT)];
    tx.finish(sql, &params).await.map(drop).map_err(without_lease)
}

pub(super) async fn write_note(
    tx: PostgresTransaction,
    name: &str,
    value: &str,
) -> Result<(), PostgresFault> {
    let sql = raising(
        "true",
        "INSERT INTO notes (cluster, name, value) SELECT $1, $2, $3 FROM raised
         ON CONFLICT (cluster, name) DO UPDATE SET value = $3",
    );
    tx.finish(&sql, &[(&name, Type::TEXT), (&value, Type::TEXT)]).await.map(drop)
}

/// Returns whether the note existed.
pub(super) async fn erase_note(tx: PostgresTransaction, name: &str) -> Result<bool, PostgresFault> {
    let sql = raising(
        "EXISTS (SELECT FROM notes WHERE notes.cluster = $1 AND name = $2)",
        "DELETE FROM notes USING raised WHERE cluster = $1 AND name = $2 RETURNING 1",
    );
    Ok(!tx.finish(&sql, &[(&name, Type::TEXT)]).await?.is_empty())
}

/// An entry that hangs on a lease cannot be written without it.
pub(super) fn without_lease(fault: PostgresFault) -> PostgresFault {
    if fault.violates(&SqlState::FOREIGN_KEY_VIOLATION) { PostgresFault::LeaseGone } else { fault }
}

/// The row that a statement must return.
fn first(rows: &[Row]) -> Result<&Row, PostgresFault> {
    rows.first().ok_or_else(PostgresFault::cluster_is_gone)
}
