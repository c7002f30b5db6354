//! Rewrites a settings file that has old names (`soloist config migrate`).
//!
//! Invariants: comments and the order of the settings stay; a file that cannot be read as TOML, or
//! that has a setting under its old and its new name, is not touched; a file without old names
//! stays the same to the byte.

mod document;
mod replace_file;
mod value_change;

use std::path::Path;

use super::{ConfigError, problem::Problem, source_file::SourceFile};
use document::SettingsDocument;

/// What [`migrate`] has changed in a file, or would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The new content of the file.
    pub text: String,
    /// A line for each setting: where it is, what it was, what it is now.
    pub changes: Vec<String>,
}

/// Renames the settings in `file` that have old names. With `write` it replaces the file, if there
/// is something to change.
///
/// # Errors
/// The file cannot be read or replaced, is no TOML, or has a setting under both names; nothing has
/// changed then.
pub fn migrate(file: &Path, write: bool) -> Result<Migration, ConfigError> {
    let source = SourceFile::open_file(file.to_owned()).map_err(|error| {
        let what = format!("cannot read `{}`: {error}", file.display());
        Problem::new(what, "name a settings file: soloist.toml, or NAME.toml of the plugins folder")
    })?;
    let migration = migrate_text(&source)?;
    if write && !migration.changes.is_empty() {
        replace_file::replace(file, &migration.text)?;
    }
    Ok(migration)
}

/// The migrated text of `source`.
fn migrate_text(source: &SourceFile) -> Result<Migration, ConfigError> {
    let document = SettingsDocument::parse(source)?;
    let found = document.old_settings();
    let twice: Vec<_> = found.iter().filter_map(|old| document.conflict(old)).collect();
    if !twice.is_empty() {
        return Err(ConfigError::new(twice));
    }
    let mut changes: Vec<_> = found.iter().map(|old| document.describe(old)).collect();
    changes.sort();
    let changes = changes.into_iter().map(|(_, line)| line).collect();
    if found.is_empty() {
        return Ok(Migration { text: source.text().to_owned(), changes });
    }
    Ok(Migration { text: document.renamed(&found), changes })
}

#[cfg(test)]
mod tests;
