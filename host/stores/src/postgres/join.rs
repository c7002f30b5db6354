//! Joining the members: a name belongs to one session, and a removed host may not join.

use tokio_postgres::types::Type;

use super::{fault::PostgresFault, roster_writes, transaction::PostgresTransaction};
use crate::{Member, admission};
use soloist_heart::LeaseId;

/// Enters `member`. `removal` is the name that the note of its removal would have.
pub(super) async fn join(
    mut tx: PostgresTransaction,
    lease: LeaseId,
    member: &Member,
    removal: &str,
) -> Result<(), PostgresFault> {
    let value = serde_json::to_string(member)?;
    // From here on nothing that is read below can change.
    roster_writes::lock_roster(&mut tx).await?;
    let sql = "SELECT (SELECT value FROM notes WHERE cluster = $1 AND name = $3), lease, value
               FROM (SELECT) AS one
               LEFT JOIN members ON cluster = $1 AND name = $2";
    let params = [(&member.name as _, Type::TEXT), (&removal as _, Type::TEXT)];
    if let Some(row) = tx.query_first(sql, &params).await? {
        if let Some(note) = row.try_get::<_, Option<&str>>(0)? {
            let removed = admission::removed(member, note.as_bytes());
            return Err(PostgresFault::NotAdmitted(removed));
        }
        let there: (Option<i64>, Option<&str>) = (row.try_get(1)?, row.try_get(2)?);
        if let (Some(other), Some(value)) = there
            && other != lease.0
        {
            admission::check_gives_way(member, value.as_bytes(), LeaseId(other))
                .map_err(PostgresFault::NotAdmitted)?;
        }
    }
    roster_writes::put_member(tx, lease, &member.name, &value).await
}
