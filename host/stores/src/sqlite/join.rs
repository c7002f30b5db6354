//! Joining the members: a name belongs to one session, and a removed host may not join.

use super::{file::SqliteFile, reads, sqlite_fault::SqliteFault};
use crate::{Member, admission};
use soloist_heart::LeaseId;

/// Enters `member`. `removal` is the name that the note of its removal would have.
pub(super) fn join(
    file: &mut SqliteFile,
    lease: LeaseId,
    member: &Member,
    removal: &str,
) -> Result<(), SqliteFault> {
    let value = serde_json::to_string(member)?;
    file.join(lease, &member.name, &value, |tx, cluster, there| {
        if let Some(note) = reads::note(tx, cluster, removal)? {
            return Err(SqliteFault::NotAdmitted(admission::removed(member, &note)));
        }
        match there {
            Some((other, value)) if other != lease => {
                let gives_way = admission::check_gives_way(member, value.as_bytes(), other);
                gives_way.map_err(SqliteFault::NotAdmitted)
            }
            _ => Ok(()),
        }
    })
}
