//! Writing what a cluster kept, and deleting what it keeps.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use crate::{
    BackupRecord, CallRecord, NoteRecord, StateRecord,
    backup::keep_answer,
    postgres::{
        call_queue::{RAISE, answer_lease, raise},
        fault::PostgresFault,
        roster_writes::lock_roster,
        transaction::PostgresTransaction,
    },
    queued_call::AnswerLeases,
    state_store::StateArea,
};
use soloist_heart::clock::BootTime;

/// How many rows of each table are deleted in one transaction.
const ROWS: i64 = 1000;

/// The import of a batch in a transaction.
pub(super) struct PostgresImport<'a> {
    tx: PostgresTransaction,
    leases: &'a AnswerLeases,
}

impl<'a> PostgresImport<'a> {
    pub(super) const fn new(tx: PostgresTransaction, leases: &'a AnswerLeases) -> Self {
        Self { tx, leases }
    }

    pub(super) async fn batch(mut self, records: &[BackupRecord]) -> Result<(), PostgresFault> {
        let (mut state, mut calls, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for record in records {
            match record {
                BackupRecord::State(entry) => state.push((StateArea::State, entry)),
                BackupRecord::Ledger(entry) => state.push((StateArea::Ledger, entry)),
                BackupRecord::Call(call) => calls.push(&**call),
                BackupRecord::Note(note) => notes.push(note),
            }
        }
        if !notes.is_empty() {
            self.notes(&notes).await?;
        }
        if !calls.is_empty() {
            self.calls(&calls).await?;
        }
        if !state.is_empty() {
            self.state(&state).await?;
        }
        self.tx.commit().await
    }

    async fn notes(&mut self, notes: &[&NoteRecord]) -> Result<(), PostgresFault> {
        lock_roster(&mut self.tx).await?;
        let names: Vec<_> = notes.iter().map(|note| &*note.name).collect();
        let values: Vec<_> =
            notes.iter().map(|note| String::from_utf8_lossy(&note.value)).collect();
        let sql = "INSERT INTO notes (cluster, name, value)
                   SELECT $1, name, value FROM unnest($2::text[], $3::text[]) AS put (name, value)
                   ON CONFLICT (cluster, name) DO UPDATE SET value = excluded.value";
        let params = [(&names as _, Type::TEXT_ARRAY), (&values as _, Type::TEXT_ARRAY)];
        self.tx.query(sql, &params).await.map(drop)
    }

    /// The versions of an action's values go on from those that it had.
    async fn state(&mut self, entries: &[(StateArea, &StateRecord)]) -> Result<(), PostgresFault> {
        let names = entries.iter().map(|(area, entry)| area.table_name(&entry.action));
        let names: Vec<_> = names.collect();
        let keys: Vec<_> = entries.iter().map(|(_, entry)| entry.key.as_bytes()).collect();
        let values: Vec<_> = entries.iter().map(|(_, entry)| &*entry.value).collect();
        let sql = "WITH put AS (
                       SELECT * FROM unnest($2::text[], $3::bytea[], $4::bytea[])
                                     AS put (action, key, value)
                   ), raised AS (
                       INSERT INTO state_versions (cluster, action, version)
                       SELECT DISTINCT $1, action, 1 FROM put
                       ON CONFLICT (cluster, action)
                       DO UPDATE SET version = state_versions.version + 1
                       RETURNING action, version
                   )
                   INSERT INTO state (cluster, action, key, value, version)
                   SELECT $1, action, key, value, version FROM put JOIN raised USING (action)
                   ON CONFLICT (cluster, action, key)
                   DO UPDATE SET value = excluded.value, version = excluded.version";
        let params = [
            (&names as _, Type::TEXT_ARRAY),
            (&keys as _, Type::BYTEA_ARRAY),
            (&values as _, Type::BYTEA_ARRAY),
        ];
        self.tx.query(sql, &params).await.map(drop)
    }

    async fn calls(&mut self, calls: &[&CallRecord]) -> Result<(), PostgresFault> {
        let version = raise(&mut self.tx).await?;
        let leases = self.answer_leases(calls).await?;
        let mut columns = CallColumns::default();
        for call in calls {
            columns.push(call, &leases)?;
        }
        let sql = "INSERT INTO queued_calls (cluster, version, task, id, state, at, lease, head,
                                             answer_type, payload, answer)
                   SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::bigint[],
                                                $7::bigint[], $8::text[], $9::text[], $10::bytea[],
                                                $11::bytea[])
                   ON CONFLICT (cluster, task, id) DO UPDATE SET
                       version = excluded.version, state = excluded.state, at = excluded.at,
                       lease = excluded.lease, head = excluded.head,
                       answer_type = excluded.answer_type, payload = excluded.payload,
                       answer = excluded.answer";
        let params = [
            (&version as _, Type::INT8),
            (&columns.tasks as _, Type::TEXT_ARRAY),
            (&columns.ids as _, Type::TEXT_ARRAY),
            (&columns.states as _, Type::TEXT_ARRAY),
            (&columns.ats as _, Type::INT8_ARRAY),
            (&columns.leases as _, Type::INT8_ARRAY),
            (&columns.heads as _, Type::TEXT_ARRAY),
            (&columns.answer_types as _, Type::TEXT_ARRAY),
            (&columns.payloads as _, Type::BYTEA_ARRAY),
            (&columns.answers as _, Type::BYTEA_ARRAY),
        ];
        self.tx.query(sql, &params).await.map(drop)
    }

    /// The lease for the answers that are kept for each number of seconds.
    async fn answer_leases(
        &mut self,
        calls: &[&CallRecord],
    ) -> Result<BTreeMap<u64, i64>, PostgresFault> {
        let mut leases = BTreeMap::new();
        for call in calls {
            let Some(keep_s) = call.stage.row().keep_s else { continue };
            if leases.contains_key(&keep_s) {
                continue;
            }
            let (keep, now) = (keep_answer(keep_s), BootTime::now());
            let current = self.leases.current(keep, now);
            let lease = answer_lease(&mut self.tx, keep, current).await?;
            if current != Some(lease) {
                // If the transaction is rolled back, it is found missing and made anew.
                self.leases.add(keep, lease, now);
            }
            leases.insert(keep_s, lease.0);
        }
        Ok(leases)
    }
}

/// The columns of queued calls that are put.
#[derive(Default)]
struct CallColumns<'a> {
    tasks: Vec<&'a str>,
    ids: Vec<&'a str>,
    states: Vec<&'static str>,
    ats: Vec<i64>,
    leases: Vec<Option<i64>>,
    heads: Vec<String>,
    answer_types: Vec<Option<&'a str>>,
    payloads: Vec<Option<&'a [u8]>>,
    answers: Vec<Option<&'a [u8]>>,
}

impl<'a> CallColumns<'a> {
    fn push(
        &mut self,
        call: &'a CallRecord,
        leases: &BTreeMap<u64, i64>,
    ) -> Result<(), PostgresFault> {
        let row = call.stage.row();
        self.tasks.push(&call.task);
        self.ids.push(&call.id);
        self.states.push(row.state);
        self.ats.push(row.at.cast_signed());
        self.heads.push(serde_json::to_string(row.head)?);
        self.leases.push(row.keep_s.and_then(|keep_s| leases.get(&keep_s).copied()));
        self.answer_types.push(row.answer_type);
        self.payloads.push(row.payload);
        self.answers.push(row.answer);
        Ok(())
    }
}

/// Deletes some of what the cluster keeps. Returns whether there may be more.
pub(super) async fn erase_some(mut tx: PostgresTransaction) -> Result<bool, PostgresFault> {
    lock_roster(&mut tx).await?;
    tx.query(RAISE, &[]).await?;
    let mut more = false;
    for table in ["state", "claims", "queued_calls", "notes"] {
        let sql = format!(
            "DELETE FROM {table} WHERE ctid IN (
                 SELECT ctid FROM {table} WHERE cluster = $1 LIMIT $2)
             RETURNING 1"
        );
        more |= !tx.query(&sql, &[(&ROWS, Type::INT8)]).await?.is_empty();
    }
    tx.commit().await?;
    Ok(more)
}
