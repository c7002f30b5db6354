//! Writing what a cluster kept, and deleting what it keeps.

use rusqlite::{Transaction, params};

use crate::{
    BackupRecord, CallRecord, StateRecord,
    backup::keep_answer,
    queued_call::AnswerLeases,
    sqlite::{
        call_queue::answer_lease, file::SqliteFile, sqlite_fault::SqliteFault,
        state_store::next_version,
    },
    state_store::StateArea,
};
use soloist_heart::{LeaseId, clock::BootTime};

/// How many rows of each table are deleted in one transaction.
const ROWS: i64 = 1000;

impl SqliteFile {
    /// Writes a batch in one transaction, and notifies everybody.
    pub(super) fn import_records(
        &mut self,
        records: &[BackupRecord],
        leases: &AnswerLeases,
    ) -> Result<(), SqliteFault> {
        self.must_have_room()?;
        self.write_everything(|tx, cluster, boot| {
            let mut import = SqliteImport { tx, cluster, boot, version: next_version(tx)?, leases };
            records.iter().try_for_each(|record| import.record(record))
        })
    }

    /// Deletes some of what the cluster keeps. Returns whether there may be more.
    pub(super) fn erase_some(&mut self) -> Result<bool, SqliteFault> {
        self.write_everything(|tx, cluster, _| {
            let mut more = false;
            for table in ["state", "claims", "queued_calls", "notes"] {
                let sql = format!(
                    "DELETE FROM {table} WHERE rowid IN
                       (SELECT rowid FROM {table} WHERE cluster = ?1 LIMIT ?2)"
                );
                more |= tx.execute(&sql, params![cluster, ROWS])? > 0;
            }
            Ok(more)
        })
    }
}

/// The import of a batch in a transaction.
struct SqliteImport<'a> {
    tx: &'a Transaction<'a>,
    cluster: &'a str,
    boot: &'a str,
    version: i64,
    leases: &'a AnswerLeases,
}

impl SqliteImport<'_> {
    fn record(&mut self, record: &BackupRecord) -> Result<(), SqliteFault> {
        match record {
            BackupRecord::State(entry) => self.state(StateArea::State, entry),
            BackupRecord::Ledger(entry) => self.state(StateArea::Ledger, entry),
            BackupRecord::Call(call) => self.call(call),
            BackupRecord::Note(note) => {
                let sql = "INSERT OR REPLACE INTO notes (cluster, name, value) VALUES (?1, ?2, ?3)";
                let row = params![self.cluster, note.name, &*note.value];
                self.tx.prepare_cached(sql)?.execute(row)?;
                Ok(())
            }
        }
    }

    fn state(&self, area: StateArea, entry: &StateRecord) -> Result<(), SqliteFault> {
        let sql = "INSERT OR REPLACE INTO state (cluster, action, key, value, version)
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let name = area.table_name(&entry.action);
        let row = params![self.cluster, name, entry.key, &*entry.value, self.version];
        self.tx.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    fn call(&self, call: &CallRecord) -> Result<(), SqliteFault> {
        let sql = "INSERT OR REPLACE INTO queued_calls
                     (cluster, task, id, state, version, at, lease, head, answer_type, payload,
                      answer)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let row = call.stage.row();
        let lease = row.keep_s.map(|keep_s| self.lease(keep_s)).transpose()?;
        let columns = params![
            self.cluster,
            call.task,
            call.id,
            row.state,
            self.version,
            row.at.cast_signed(),
            lease.map(|lease| lease.0),
            serde_json::to_string(row.head)?,
            row.answer_type,
            row.payload,
            row.answer
        ];
        self.tx.prepare_cached(sql)?.execute(columns)?;
        Ok(())
    }

    /// The lease for an answer that is written now.
    fn lease(&self, keep_s: u64) -> Result<LeaseId, SqliteFault> {
        let (keep, now) = (keep_answer(keep_s), BootTime::now());
        let current = self.leases.current(keep, now);
        let lease = answer_lease(self.tx, current, keep, self.boot)?;
        if current != Some(lease) {
            // If the transaction is rolled back, the lease is found missing and made anew.
            self.leases.add(keep, lease, now);
        }
        Ok(lease)
    }
}
