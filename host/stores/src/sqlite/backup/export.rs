//! Reading all that a cluster keeps within one transaction.

use rusqlite::{Row, Transaction};
use tokio::sync::mpsc::Sender;

use crate::{
    BackupRecord, CallRecord, CallStage, EndedQueuedCall, NoteRecord, QueuedCallHeader,
    StateRecord,
    backup::{BatchSender, foreign_call},
    queued_call::state_names::{DEAD, QUEUED},
    sqlite::sqlite_fault::SqliteFault,
    state_store::StateArea,
};

/// What an export says of the store.
pub(super) struct ExportHead {
    pub(super) identity: String,
    /// No fencing token is higher.
    pub(super) revision: i64,
}

pub(super) fn head(tx: &Transaction<'_>) -> Result<ExportHead, SqliteFault> {
    let sql = "SELECT identity, revision FROM identity, counter";
    let head = |row: &Row<'_>| Ok(ExportHead { identity: row.get(0)?, revision: row.get(1)? });
    Ok(tx.query_row(sql, [], head)?)
}

/// Makes a record of a row.
type RowReader = fn(&Row<'_>) -> Result<BackupRecord, SqliteFault>;

/// Reads everything, and sends it.
pub(super) fn send(
    tx: &Transaction<'_>,
    cluster: &str,
    to: Sender<Vec<BackupRecord>>,
) -> Result<(), SqliteFault> {
    let mut to = BatchSender::new(to);
    let state = "SELECT action, key, value FROM state WHERE cluster = ?1 ORDER BY action, key";
    let calls = "SELECT task, id, state, head, at, payload, answer, answer_type,
                        (SELECT ttl FROM leases WHERE leases.id = lease)
                 FROM queued_calls WHERE cluster = ?1 ORDER BY task, id";
    let notes = "SELECT name, value FROM notes WHERE cluster = ?1 ORDER BY name";
    let tables: [(_, RowReader); 3] =
        [(state, state_record), (calls, call_record), (notes, note_record)];
    for (sql, record) in tables {
        let mut statement = tx.prepare(sql)?;
        let mut rows = statement.query([cluster])?;
        while let Some(row) = rows.next()? {
            sent(to.blocking_send(record(row)?))?;
        }
    }
    sent(to.blocking_finish())
}

fn sent(somebody_reads: bool) -> Result<(), SqliteFault> {
    if somebody_reads { Ok(()) } else { Err(SqliteFault::Closed) }
}

fn state_record(row: &Row<'_>) -> Result<BackupRecord, SqliteFault> {
    let (name, key, value): (String, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let (area, action) = StateArea::of_table_name(&name);
    let entry = StateRecord { action: action.to_owned(), key, value: value.into() };
    Ok(match area {
        StateArea::State => BackupRecord::State(entry),
        StateArea::Ledger => BackupRecord::Ledger(entry),
    })
}

fn call_record(row: &Row<'_>) -> Result<BackupRecord, SqliteFault> {
    let (task, id, state): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let bytes = |at| Ok::<_, SqliteFault>(row.get::<_, Option<Vec<u8>>>(at)?.unwrap_or_default());
    let head = header(&task, &id, &row.get::<_, String>(3)?)?;
    let at = row.get::<_, i64>(4)?.unsigned_abs();
    let stage = match &*state {
        QUEUED => CallStage::Waiting { head, payload: bytes(5)?.into() },
        DEAD => CallStage::Dead { ended: EndedQueuedCall { head, at }, payload: bytes(5)?.into() },
        _ => CallStage::Done {
            ended: EndedQueuedCall { head, at },
            answer: bytes(6)?.into(),
            content_type: row.get::<_, Option<String>>(7)?.filter(|it| !it.is_empty()),
            keep_s: row.get::<_, Option<i64>>(8)?.map_or(0, whole_seconds),
        },
    };
    Ok(BackupRecord::Call(CallRecord { task, id, stage }.into()))
}

fn note_record(row: &Row<'_>) -> Result<BackupRecord, SqliteFault> {
    let value: Vec<u8> = row.get(1)?;
    Ok(BackupRecord::Note(NoteRecord { name: row.get(0)?, value: value.into() }))
}

fn whole_seconds(nanos: i64) -> u64 {
    nanos.unsigned_abs().div_ceil(1_000_000_000)
}

/// The header of a queued call. What soloist did not write is refused: leaving it out would lose it
/// without a word.
fn header(task: &str, id: &str, text: &str) -> Result<QueuedCallHeader, SqliteFault> {
    serde_json::from_str(text).map_err(|error| SqliteFault::Refused {
        problem: foreign_call(task, id),
        source: Some(error.into()),
    })
}
