//! What a command has done, as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::terminal::say_json;
use soloist_stores::BackupKind;

/// What a backup, a restore or a copy has done, as JSON.
#[derive(Serialize)]
pub(super) struct BackupReport<'a> {
    pub(super) cluster: &'a str,
    /// Where it comes from, and where it is now.
    pub(super) from: String,
    pub(super) to: String,
    pub(super) highest_token: i64,
    pub(super) records: BTreeMap<BackupKind, u64>,
    /// The same for the same records, whatever their store.
    pub(super) digest: String,
}

impl BackupReport<'_> {
    pub(super) fn say_json(&self) {
        // Text and numbers can always be written as JSON.
        say_json(&format!("{}\n", serde_json::to_string_pretty(self).unwrap_or_default()));
    }
}
