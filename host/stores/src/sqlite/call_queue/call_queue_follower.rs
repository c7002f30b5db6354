//! Follows the queue of calls over a connection of its own.
//!
//! Each change of a queued call gets a new version, so a look only reads the queued calls that are
//! newer. Claims are few, as many as there are queued calls under way, so all of them are read. If
//! a queued call left the queue and was deleted from the file between two looks, the number of
//! remaining queued calls gives it away; then the whole queue is read again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt, stream};
use rusqlite::{Row, Transaction, params};
use tokio::{runtime, sync::Notify, time::timeout};

use crate::{
    CallQueueChange, CallQueueStream, QueuedCallKey, StoreError, WaitingCall,
    ignored_entry::warn_ignored,
    sqlite::{
        WorkerCalls, change_listener::ChangeListener, file::SqliteFile,
        sqlite_config::SqliteConfig, sqlite_fault::SqliteFault, worker::POLL,
    },
};
use soloist_heart::LeaseId;

const WATCH: &str = "watch the queue of calls";
pub(super) async fn watch(calls: WorkerCalls) -> Result<CallQueueStream, StoreError> {
    let label = calls.label.clone();
    let store_error = move |fault: SqliteFault| fault.into_error(WATCH, &label);
    let source = calls.source.clone();
    let open = runtime::Handle::current().spawn_blocking(move || {
        let mut follow = CallQueueFollower::open(&source)?;
        Ok((follow.changes()?, follow))
    });
    let opened = timeout(calls.request_timeout, open).await;
    let opened =
        opened.unwrap_or(Ok(Err(SqliteFault::TimedOut))).unwrap_or(Err(SqliteFault::Closed));
    let (present, follow) = opened.map_err(&store_error)?;
    // The state keeps the worker alive, which removes expired sessions and with them their claims.
    let later = stream::unfold(Some((follow, calls, store_error)), |state| async {
        let (follow, calls, store_error) = state?;
        match next(follow).await {
            Ok((changes, follow)) => Some((Ok(changes), Some((follow, calls, store_error)))),
            Err(fault) => Some((Err(store_error(fault)), None)),
        }
    });
    Ok(stream::iter([Ok(present)]).chain(later).boxed())
}

/// Waits for the next changes.
async fn next(
    mut follow: Box<CallQueueFollower>,
) -> Result<(Vec<CallQueueChange>, Box<CallQueueFollower>), SqliteFault> {
    loop {
        let changed = follow.changed.clone();
        // Look even if nothing was heard: the interval is over then.
        let _ = timeout(POLL, changed.notified()).await;
        let reading = runtime::Handle::current().spawn_blocking(move || {
            let changes = match follow.changes() {
                // Another process holds the file; the next look comes soon.
                Err(fault) if fault.is_busy() => Vec::new(),
                changes => changes?,
            };
            Ok((changes, follow))
        });
        let (changes, back) = reading.await.unwrap_or(Err(SqliteFault::Closed))?;
        if !changes.is_empty() {
            return Ok((changes, back));
        }
        follow = back;
    }
}

/// What was reported of the queue so far.
struct CallQueueFollower {
    file: SqliteFile,
    /// Notified when the files change.
    changed: Arc<Notify>,
    _listener: Option<ChangeListener>,
    /// The last version that was read.
    version: i64,
    queued: BTreeMap<QueuedCallKey, i64>,
    /// The claims, each with its lease and version.
    claims: BTreeMap<QueuedCallKey, (LeaseId, i64)>,
}

impl CallQueueFollower {
    fn open(source: &SqliteConfig) -> Result<Box<Self>, SqliteFault> {
        let changed = Arc::new(Notify::new());
        let notify = changed.clone();
        let file = SqliteFile::open(source)?;
        let listener =
            ChangeListener::listen_to_call_queue(file.path(), move || notify.notify_one());
        let listener = listener.inspect_err(|error| {
            tracing::warn!(%error, "no file notifications: queued calls are seen {POLL:?} late");
        });
        let (queued, claims) = (BTreeMap::new(), BTreeMap::new());
        Ok(Box::new(Self { file, changed, _listener: listener.ok(), version: -1, queued, claims }))
    }

    /// The changes since the last call.
    fn changes(&mut self) -> Result<Vec<CallQueueChange>, SqliteFault> {
        self.file.check_same()?;
        if !self.file.changed()? {
            return Ok(Vec::new());
        }
        let Self { file, version, queued, .. } = self;
        let seen = file.read(|tx, cluster| CallQueueSnapshot::read(tx, cluster, *version, queued));
        // A change that could not be read must be looked at again.
        let seen = seen.inspect_err(|_| file.mark_changed())?;
        let mut changes = Vec::new();
        self.apply(seen, &mut changes);
        Ok(changes)
    }

    fn apply(&mut self, seen: CallQueueSnapshot, changes: &mut Vec<CallQueueChange>) {
        let CallQueueSnapshot { version, queued_calls, all, claims } = seen;
        self.version = version;
        for (key, queued) in queued_calls {
            match queued {
                Some(queued) => {
                    self.queued.insert(key, queued.version);
                    changes.push(CallQueueChange::Queued(queued));
                }
                None if self.queued.remove(&key).is_some() => {
                    changes.push(CallQueueChange::Left(key))
                }
                None => {}
            }
        }
        if let Some(all) = all {
            let left = self.queued.extract_if(.., |key, _| !all.contains(key));
            changes.extend(left.map(|(key, _)| CallQueueChange::Left(key)));
        }
        for (key, (lease, version)) in &claims {
            if self.claims.get(key).is_none_or(|(_, before)| before != version) {
                changes.push(CallQueueChange::Claimed(key.clone(), *lease));
            }
        }
        let free = self.claims.keys().filter(|key| !claims.contains_key(key));
        changes.extend(free.map(|key| CallQueueChange::Free(key.clone())));
        self.claims = claims;
    }
}

/// What one look at the file has read.
struct CallQueueSnapshot {
    version: i64,
    /// The queued calls that have changed, each with its state if it is queued.
    queued_calls: BTreeMap<QueuedCallKey, Option<WaitingCall>>,
    /// All waiting calls; read only if there are fewer than the changes imply.
    all: Option<BTreeSet<QueuedCallKey>>,
    claims: BTreeMap<QueuedCallKey, (LeaseId, i64)>,
}

impl CallQueueSnapshot {
    fn read(
        tx: &Transaction<'_>,
        cluster: &str,
        since: i64,
        known: &BTreeMap<QueuedCallKey, i64>,
    ) -> Result<Self, SqliteFault> {
        let mut queued_calls = BTreeMap::new();
        let mut version = since;
        let sql = "SELECT task, id, version, head, state = 'queued' FROM queued_calls
                   WHERE cluster = ?1 AND version > ?2 ORDER BY version";
        let mut changed = tx.prepare_cached(sql)?;
        let mut rows = changed.query(params![cluster, since])?;
        while let Some(row) = rows.next()? {
            let key = key(row)?;
            version = row.get(2)?;
            let queued = if row.get(4)? { queued(row, &key, version)? } else { None };
            queued_calls.insert(key, queued);
        }
        let came =
            queued_calls.iter().filter(|(key, q)| q.is_some() && !known.contains_key(*key)).count();
        let left =
            queued_calls.iter().filter(|(key, q)| q.is_none() && known.contains_key(*key)).count();
        let whole = known.len() + came - left;
        let all = if count(tx, cluster)? == whole { None } else { Some(all(tx, cluster)?) };
        Ok(Self { version, queued_calls, all, claims: claims(tx, cluster)? })
    }
}

/// A header that does not parse was not written by soloist and is ignored.
fn queued(
    row: &Row<'_>,
    key: &QueuedCallKey,
    version: i64,
) -> Result<Option<WaitingCall>, SqliteFault> {
    let head: String = row.get(3)?;
    match serde_json::from_str(&head) {
        Ok(head) => Ok(Some(WaitingCall { key: key.clone(), version, head })),
        Err(error) => {
            warn_ignored("enqueue", &key.to_string(), error);
            Ok(None)
        }
    }
}

fn count(tx: &Transaction<'_>, cluster: &str) -> Result<usize, SqliteFault> {
    let sql = "SELECT count(*) FROM queued_calls WHERE cluster = ?1 AND state = 'queued'";
    let count: i64 = tx.prepare_cached(sql)?.query_row([cluster], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

fn all(tx: &Transaction<'_>, cluster: &str) -> Result<BTreeSet<QueuedCallKey>, SqliteFault> {
    let sql = "SELECT task, id FROM queued_calls WHERE cluster = ?1 AND state = 'queued'";
    let mut all = tx.prepare_cached(sql)?;
    Ok(all.query_map([cluster], key)?.collect::<Result<_, _>>()?)
}

fn claims(
    tx: &Transaction<'_>,
    cluster: &str,
) -> Result<BTreeMap<QueuedCallKey, (LeaseId, i64)>, SqliteFault> {
    let sql = "SELECT task, id, lease, version FROM claims WHERE cluster = ?1";
    let mut claims = tx.prepare_cached(sql)?;
    let claim = |row: &Row<'_>| Ok((key(row)?, (LeaseId(row.get(2)?), row.get(3)?)));
    Ok(claims.query_map([cluster], claim)?.collect::<Result<_, _>>()?)
}

fn key(row: &Row<'_>) -> rusqlite::Result<QueuedCallKey> {
    let (task, id): (String, String) = (row.get(0)?, row.get(1)?);
    Ok(QueuedCallKey::new(task, id))
}
