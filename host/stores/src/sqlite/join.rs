//! Entering the members: a name is one session's, and a removed host's is nobody's.

use super::{fault::Fault, file::File, reads};
use crate::{Member, StoreError};
use soloist_heart::LeaseId;

/// Enters `member`, whose removal would be the note of the name `removal`.
pub(super) fn join(
    file: &mut File,
    lease: LeaseId,
    member: &Member,
    removal: &str,
) -> Result<(), Fault> {
    let value = serde_json::to_string(member)?;
    file.join(lease, &member.name, &value, |tx, cluster, there| {
        if let Some(note) = reads::note(tx, cluster, removal)? {
            let removal = serde_json::from_slice(&note).unwrap_or_default();
            let name = member.name.clone();
            return Err(Fault::NotAdmitted(StoreError::Removed { name, removal }));
        }
        match there {
            Some((other, value)) if other != lease => gives_way(member, other, &value),
            _ => Ok(()),
        }
    })
}

/// Whether the entry of the session `other`, which is alive, may be replaced.
fn gives_way(member: &Member, other: LeaseId, value: &str) -> Result<(), Fault> {
    let said: Option<Member> = serde_json::from_str(value).ok();
    match said {
        Some(former) if member.outlives(&former) => Ok(()),
        said => {
            let url = said.map(|said| said.url).unwrap_or_default();
            let name = member.name.clone();
            Err(Fault::NotAdmitted(StoreError::NameTaken { name, url, lease: other }))
        }
    }
}
