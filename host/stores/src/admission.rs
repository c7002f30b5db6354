//! Who may join the members: a name belongs to one session, and a removed host stays out.
//!
//! Each store reads what is asked here in the transaction that writes the member's entry.

use crate::{error::StoreError, member::Member};
use soloist_heart::LeaseId;

/// The error for `member` if there is a note of its removal.
pub(super) fn removed(member: &Member, note: &[u8]) -> StoreError {
    let removal = serde_json::from_slice(note).unwrap_or_default();
    StoreError::Removed { name: member.name.clone(), removal }
}

/// Whether `member` may replace `entry`, which the session of `lease` has made under its name.
///
/// # Errors
/// [`StoreError::NameTaken`] if that is another living host.
pub(super) fn check_gives_way(
    member: &Member,
    entry: &[u8],
    lease: LeaseId,
) -> Result<(), StoreError> {
    let present: Option<Member> = serde_json::from_slice(entry).ok();
    match present {
        Some(former) if member.supersedes(&former) => Ok(()),
        present => {
            let url = present.map(|present| present.url).unwrap_or_default();
            Err(StoreError::NameTaken { name: member.name.clone(), url, lease })
        }
    }
}
