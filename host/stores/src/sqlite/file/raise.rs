//! Raising the fencing tokens: all later ones exceed a certain one.
//!
//! Clusters that share a file share its revisions, and with them the raise.

use std::time::Duration;

use rusqlite::{Transaction, params};

use super::{SqliteFile, grant};
use crate::sqlite::sqlite_fault::SqliteFault;
use soloist_heart::FencingToken;

impl SqliteFile {
    /// See [`Store::raise_tokens`](crate::Store::raise_tokens).
    pub(in super::super) fn raise_tokens(
        &mut self,
        above: FencingToken,
        grace: Duration,
    ) -> Result<(), SqliteFault> {
        let boot = self.boot.clone();
        let count = self.write(|tx, _| {
            if raise(tx, above)? {
                let lease = grant(tx, grace, &boot)?;
                let sql = "UPDATE raises SET count = count + 1, grace = ?1";
                tx.execute(sql, [lease.0])?;
            }
            Ok(tx.query_row("SELECT count FROM raises", [], |row| row.get(0))?)
        })?;
        self.history.observe_raise(0, count);
        Ok(())
    }
}

/// Raises the revision, and removes all candidates, if either is needed. Returns whether it was.
fn raise(tx: &Transaction<'_>, above: FencingToken) -> Result<bool, SqliteFault> {
    let sql =
        "SELECT revision < ?1 OR EXISTS (SELECT 1 FROM candidates WHERE create_revision <= ?1)
               FROM counter";
    let needed = tx.query_row(sql, [above.0], |row| row.get(0))?;
    if needed {
        tx.execute("UPDATE counter SET revision = max(revision, ?1) + 1", params![above.0])?;
        tx.execute("DELETE FROM candidates", [])?;
    }
    Ok(needed)
}
