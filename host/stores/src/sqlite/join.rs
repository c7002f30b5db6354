//! Joining the members: a name belongs to one session, and a removed host may not join.

use super::{file::SqliteFile, reads, sqlite_fault::SqliteFault};
use crate::{Member, StoreError};
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
            let removal = serde_json::from_slice(&note).unwrap_or_default();
            let name = member.name.clone();
            return Err(SqliteFault::NotAdmitted(StoreError::Removed { name, removal }));
        }
        match there {
            Some((other, value)) if other != lease => gives_way(member, other, &value),
            _ => Ok(()),
        }
    })
}

/// Whether the entry of the live session `other` may be replaced.
fn gives_way(member: &Member, other: LeaseId, value: &str) -> Result<(), SqliteFault> {
    let present: Option<Member> = serde_json::from_str(value).ok();
    match present {
        Some(former) if member.supersedes(&former) => Ok(()),
        present => {
            let url = present.map(|present| present.url).unwrap_or_default();
            let name = member.name.clone();
            Err(SqliteFault::NotAdmitted(StoreError::NameTaken { name, url, lease: other }))
        }
    }
}
