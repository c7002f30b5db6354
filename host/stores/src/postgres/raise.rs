//! Raising the fencing tokens: all later ones exceed a certain one.

use std::time::Duration;

use tokio_postgres::types::Type;

use super::{fault::PostgresFault, roster_writes, transaction::PostgresTransaction};
use soloist_heart::FencingToken;

/// See [`Store::raise_tokens`](crate::Store::raise_tokens). Returns how often they were raised.
pub(super) async fn raise_tokens(
    mut tx: PostgresTransaction,
    above: FencingToken,
    grace: Duration,
) -> Result<i64, PostgresFault> {
    let above = above.0;
    // A statement sees what was committed before it began, so the lock comes first.
    tx.query("SELECT FROM rosters WHERE cluster = $1 FOR UPDATE", &[]).await?;
    let sql = "SELECT raises, revision < $2
                      OR EXISTS (SELECT FROM candidates
                                 WHERE candidates.cluster = $1 AND create_revision <= $2)
               FROM rosters WHERE cluster = $1";
    let found = tx.query_first(sql, &[(&above, Type::INT8)]).await?;
    let found = found.ok_or_else(|| PostgresFault::Told("the cluster's row vanished".into()))?;
    let (raises, needed): (i64, bool) = (found.try_get(0)?, found.try_get(1)?);
    if !needed {
        tx.commit().await?;
        return Ok(raises);
    }
    let lease = roster_writes::add_lease(&mut tx, grace).await?.0;
    let sql = "WITH gone AS (DELETE FROM candidates WHERE cluster = $1)
               UPDATE rosters
               SET revision = greatest(revision, $2) + 1, raises = raises + 1, grace = $3
               WHERE cluster = $1 RETURNING pg_notify(current_schema() || '_' || $1::text, '')";
    tx.finish(sql, &[(&above, Type::INT8), (&lease, Type::INT8)]).await?;
    Ok(raises + 1)
}
