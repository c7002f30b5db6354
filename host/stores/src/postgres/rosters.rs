//! The rosters that the observer sees, as a stream.

use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::sync::watch;

use super::{
    calls::PostgresCalls, fault::PostgresFault, last_look::LastLook, look::Look, observer::Observer,
};
use crate::{Roster, RosterStream, StoreError};

/// The attempted action while watching, for error texts.
const WATCH: &str = "watch the cluster";

/// Begins with the cluster as it is now. The stream keeps the observer at work.
pub(super) async fn watch(
    calls: PostgresCalls,
    observer: Arc<Observer>,
) -> Result<RosterStream, StoreError> {
    let seen = observer.subscribe();
    // What the observer has seen last may be older than this call.
    let look = |pool, _| async move { Look::take(&pool, None).await };
    let look = calls.task(WATCH, look).await?;
    let present = look.roster.unwrap_or_default();
    let watcher = PostgresRosterWatcher { calls, _observer: observer, seen, last: present.clone() };
    let later = stream::unfold(Some(watcher), |watcher| async {
        let mut watcher = watcher?;
        match watcher.next().await {
            Ok(roster) => Some((Ok(roster), Some(watcher))),
            Err(fault) => Some((Err(watcher.calls.error(WATCH, fault)), None)),
        }
    });
    Ok(stream::iter([Ok(present)]).chain(later).boxed())
}

struct PostgresRosterWatcher {
    calls: PostgresCalls,
    _observer: Arc<Observer>,
    seen: watch::Receiver<LastLook>,
    /// What was reported last.
    last: Roster,
}

impl PostgresRosterWatcher {
    /// The next roster that shows anything new; a new revision alone is not new.
    async fn next(&mut self) -> Result<Roster, PostgresFault> {
        loop {
            self.seen.changed().await.map_err(|_| PostgresFault::Closed)?;
            let last = self.seen.borrow_and_update().clone();
            match last {
                LastLook::Seen(cluster) => {
                    let roster = &cluster.roster;
                    let older = roster.revision < self.last.revision;
                    if !older && !roster.same_content(&self.last) {
                        self.last = roster.clone();
                        return Ok(roster.clone());
                    }
                }
                LastLook::Failed(failed) => return Err(failed.fault()),
                LastLook::None => {}
            }
        }
    }
}
