//! Reading all that a cluster keeps in one transaction, through cursors.

use std::time::Duration;

use bytes::Bytes;
use tokio::{sync::mpsc::Sender, time::Instant};
use tokio_postgres::Row;

use crate::{
    BackupRecord, CallRecord, CallStage, EndedQueuedCall, NoteRecord, StateRecord,
    backup::{BatchSender, foreign_call},
    postgres::{fault::PostgresFault, transaction::PostgresTransaction},
    queued_call::state_names::{DEAD, QUEUED},
    state_store::StateArea,
};

/// What is read of a table: the rows of a query, and the record that each of them is.
struct BackupTable {
    query: &'static str,
    record: fn(&Row) -> Result<BackupRecord, PostgresFault>,
    /// How many rows are fetched at once. Values have up to 256 KiB, payloads up to 1 MiB.
    page: usize,
}

const TABLES: [BackupTable; 3] = [
    BackupTable {
        query: "SELECT action, key, value FROM state WHERE cluster = $1 ORDER BY action, key",
        record: state_record,
        page: 32,
    },
    BackupTable {
        query: "SELECT task, id, state, head, at, payload, answer, answer_type, ttl_ms
                FROM queued_calls LEFT JOIN leases ON leases.lease = queued_calls.lease
                WHERE queued_calls.cluster = $1 ORDER BY task, id",
        record: call_record,
        page: 16,
    },
    BackupTable {
        query: "SELECT name, value FROM notes WHERE cluster = $1 ORDER BY name",
        record: note_record,
        page: 500,
    },
];

/// Reads everything and sends it; each page within `within`.
pub(super) async fn send(
    mut tx: PostgresTransaction,
    within: Duration,
    to: Sender<Vec<BackupRecord>>,
) -> Result<(), PostgresFault> {
    let mut to = BatchSender::new(to);
    for BackupTable { query, record, page } in TABLES {
        tx.more_time(Instant::now() + within);
        let declare = format!("DECLARE backup NO SCROLL CURSOR FOR {query}");
        tx.query(&declare, &[]).await?;
        let fetch = format!("FETCH {page} FROM backup");
        loop {
            tx.more_time(Instant::now() + within);
            let rows = tx.query_alone(&fetch).await?;
            for row in &rows {
                sent(to.send(record(row)?).await)?;
            }
            if rows.len() < page {
                break;
            }
        }
        tx.query_alone("CLOSE backup").await?;
    }
    tx.more_time(Instant::now() + within);
    tx.commit().await?;
    sent(to.finish().await)
}

fn sent(somebody_reads: bool) -> Result<(), PostgresFault> {
    if somebody_reads { Ok(()) } else { Err(PostgresFault::Closed) }
}

fn state_record(row: &Row) -> Result<BackupRecord, PostgresFault> {
    let (area, action) = StateArea::of_table_name(row.try_get(0)?);
    let key = String::from_utf8_lossy(row.try_get(1)?).into_owned();
    let value = Bytes::copy_from_slice(row.try_get(2)?);
    let entry = StateRecord { action: action.to_owned(), key, value };
    Ok(match area {
        StateArea::State => BackupRecord::State(entry),
        StateArea::Ledger => BackupRecord::Ledger(entry),
    })
}

fn call_record(row: &Row) -> Result<BackupRecord, PostgresFault> {
    let (task, id): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    let (state, head): (&str, &str) = (row.try_get(2)?, row.try_get(3)?);
    let head = serde_json::from_str(head).map_err(|error| PostgresFault::Refused {
        problem: foreign_call(&task, &id),
        source: Some(error.into()),
    })?;
    let at = row.try_get::<_, i64>(4)?.unsigned_abs();
    let bytes = |column| {
        let bytes = row.try_get::<_, Option<&[u8]>>(column)?;
        Ok::<_, PostgresFault>(Bytes::copy_from_slice(bytes.unwrap_or_default()))
    };
    let stage = match state {
        QUEUED => CallStage::Waiting { head, payload: bytes(5)? },
        DEAD => CallStage::Dead { ended: EndedQueuedCall { head, at }, payload: bytes(5)? },
        _ => CallStage::Done {
            ended: EndedQueuedCall { head, at },
            answer: bytes(6)?,
            content_type: row.try_get::<_, Option<String>>(7)?.filter(|it| !it.is_empty()),
            keep_s: row.try_get::<_, Option<i64>>(8)?.map_or(0, whole_seconds),
        },
    };
    Ok(BackupRecord::Call(CallRecord { task, id, stage }.into()))
}

fn note_record(row: &Row) -> Result<BackupRecord, PostgresFault> {
    let value = Bytes::copy_from_slice(row.try_get::<_, &str>(1)?.as_bytes());
    Ok(BackupRecord::Note(NoteRecord { name: row.try_get(0)?, value }))
}

fn whole_seconds(millis: i64) -> u64 {
    millis.unsigned_abs().div_ceil(1000)
}
