//! Follows the queue of calls: the observer says when there is something new, and it is read over
//! the connections of queued calls.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt, stream};
use tokio::sync::watch;
use tokio_postgres::{Row, types::Type};

use crate::{
    CallQueueChange, CallQueueStream, QueuedCallKey, StoreError,
    postgres::{
        calls::PostgresCalls, fault::PostgresFault, last_look::LastLook, observer::Observer,
    },
    queued_call::{QueueSnapshot, QueueView, waiting_call},
};
use soloist_heart::LeaseId;

const WATCH: &str = "watch the queue of calls";

/// The kinds of rows that are read, in the order of the statement below.
const COUNTS: i32 = 0;
const CHANGED: i32 = 1;
const CLAIM: i32 = 2;

/// `$2`: the version after which to read; `$3`: whether to read all that waits.
const SQL: &str = "
    SELECT 0, revision, (SELECT count(*) FROM queued_calls
                         WHERE cluster = $1 AND state = 'queued'), NULL, NULL, NULL, NULL
        FROM call_queues WHERE cluster = $1
    UNION ALL
    SELECT 1, version, NULL, task, id, head, state = 'queued'
        FROM queued_calls WHERE cluster = $1 AND version > $2
    UNION ALL
    SELECT 2, version, lease, task, id, NULL, NULL FROM claims WHERE cluster = $1
    UNION ALL
    SELECT 3, NULL, NULL, task, id, NULL, NULL
        FROM queued_calls WHERE $3 AND cluster = $1 AND state = 'queued'";

/// Begins with all waiting calls. The stream keeps the observer at work, which ends sessions and
/// with them their claims.
pub(super) async fn watch(
    calls: PostgresCalls,
    observer: Arc<Observer>,
) -> Result<CallQueueStream, StoreError> {
    let seen = observer.subscribe();
    let view = QueueView::default();
    let mut follower =
        PostgresQueueFollower { calls, _observer: observer, seen, view, revisions: (0, 0) };
    let present = follower.read().await?;
    let later = stream::unfold(Some(follower), |follower| async {
        let mut follower = follower?;
        match follower.next().await {
            Ok(changes) => Some((Ok(changes), Some(follower))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(stream::iter([Ok(present)]).chain(later).boxed())
}

struct PostgresQueueFollower {
    calls: PostgresCalls,
    _observer: Arc<Observer>,
    seen: watch::Receiver<LastLook>,
    view: QueueView,
    /// The revisions of queued calls and of the roster that led to the last read. Claims go with
    /// their sessions, which only the latter shows.
    revisions: (i64, i64),
}

impl PostgresQueueFollower {
    /// Waits for the next changes.
    async fn next(&mut self) -> Result<Vec<CallQueueChange>, StoreError> {
        loop {
            let closed = |_| self.calls.error(WATCH, PostgresFault::Closed);
            self.seen.changed().await.map_err(closed)?;
            let last = self.seen.borrow_and_update().clone();
            match last {
                LastLook::Seen(cluster) => {
                    let revisions = (cluster.queue_revision, cluster.roster.revision);
                    if revisions == self.revisions {
                        continue;
                    }
                    let changes = self.read().await?;
                    self.revisions = revisions;
                    if !changes.is_empty() {
                        return Ok(changes);
                    }
                }
                LastLook::Failed(failed) => return Err(self.calls.error(WATCH, failed.fault())),
                LastLook::None => {}
            }
        }
    }

    /// The changes since the last call.
    async fn read(&mut self) -> Result<Vec<CallQueueChange>, StoreError> {
        let error = |fault| self.calls.error(WATCH, fault);
        let (mut seen, count) = self.snapshot(false).await?.map_err(error)?;
        if count != self.view.expected(&seen.changed) {
            (seen, _) = self.snapshot(true).await?.map_err(error)?;
        }
        Ok(self.view.apply(seen))
    }

    /// What has changed, and how many calls wait.
    async fn snapshot(
        &self,
        whole: bool,
    ) -> Result<Result<(QueueSnapshot, usize), PostgresFault>, StoreError> {
        let version = self.view.version();
        let read = self.calls.read(WATCH, SQL, (version, whole), |(version, whole)| {
            vec![(version, Type::INT8), (whole, Type::BOOL)]
        });
        let rows = read.await?;
        let all = whole.then(BTreeSet::new);
        let mut read =
            QueueRead { seen: QueueSnapshot { all, ..QueueSnapshot::default() }, count: 0 };
        let added = rows.iter().try_for_each(|row| read.add(row));
        Ok(added.map(|()| (read.seen, read.count)))
    }
}

/// What was read so far.
struct QueueRead {
    seen: QueueSnapshot,
    /// How many calls wait.
    count: usize,
}

impl QueueRead {
    fn add(&mut self, row: &Row) -> Result<(), PostgresFault> {
        let kind: i32 = row.try_get(0)?;
        if kind == COUNTS {
            self.seen.version = row.try_get(1)?;
            let count: i64 = row.try_get(2)?;
            self.count = usize::try_from(count).unwrap_or_default();
            return Ok(());
        }
        let (task, id): (&str, &str) = (row.try_get(3)?, row.try_get(4)?);
        let key = QueuedCallKey::new(task, id);
        match kind {
            CHANGED => {
                let (version, head): (i64, &str) = (row.try_get(1)?, row.try_get(5)?);
                let waits: bool = row.try_get(6)?;
                let call = if waits { waiting_call(&key, version, head) } else { None };
                self.seen.changed.insert(key, call);
            }
            CLAIM => {
                let claim = (LeaseId(row.try_get(2)?), row.try_get(1)?);
                self.seen.claims.insert(key, claim);
            }
            _ => drop(self.seen.all.get_or_insert_default().insert(key)),
        }
        Ok(())
    }
}
