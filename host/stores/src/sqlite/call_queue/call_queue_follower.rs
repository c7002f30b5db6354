//! Follows the queue of calls over a connection of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt, stream};
use rusqlite::{Row, Transaction, params};
use tokio::{runtime, sync::Notify, time::timeout};

use crate::{
    CallQueueChange, CallQueueStream, QueuedCallKey, StoreError,
    queued_call::{QueueSnapshot, QueueView, waiting_call},
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

/// Reads what has changed.
struct CallQueueFollower {
    file: SqliteFile,
    /// Notified when the files change.
    changed: Arc<Notify>,
    _listener: Option<ChangeListener>,
    view: QueueView,
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
        let view = QueueView::default();
        Ok(Box::new(Self { file, changed, _listener: listener.ok(), view }))
    }

    /// The changes since the last call.
    fn changes(&mut self) -> Result<Vec<CallQueueChange>, SqliteFault> {
        self.file.check_same()?;
        if !self.file.changed()? {
            return Ok(Vec::new());
        }
        let Self { file, view, .. } = self;
        let seen = file.read(|tx, cluster| read(tx, cluster, view));
        // A change that could not be read must be looked at again.
        let seen = seen.inspect_err(|_| file.mark_changed())?;
        Ok(view.apply(seen))
    }
}

/// Reads what has changed since `view`.
fn read(
    tx: &Transaction<'_>,
    cluster: &str,
    view: &QueueView,
) -> Result<QueueSnapshot, SqliteFault> {
    let (mut changed, mut version) = (BTreeMap::new(), view.version());
    let sql = "SELECT task, id, version, head, state = 'queued' FROM queued_calls
               WHERE cluster = ?1 AND version > ?2 ORDER BY version";
    let mut newer = tx.prepare_cached(sql)?;
    let mut rows = newer.query(params![cluster, version])?;
    while let Some(row) = rows.next()? {
        let key = key(row)?;
        version = row.get(2)?;
        let head: String = row.get(3)?;
        let waits: bool = row.get(4)?;
        let call = if waits { waiting_call(&key, version, &head) } else { None };
        changed.insert(key, call);
    }
    let is_whole = count(tx, cluster)? == view.expected(&changed);
    let all = if is_whole { None } else { Some(all(tx, cluster)?) };
    Ok(QueueSnapshot { version, changed, all, claims: claims(tx, cluster)? })
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
