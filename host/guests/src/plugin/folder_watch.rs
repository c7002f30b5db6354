//! Watches the plugins folder for changes.

use std::{path::Path, time::Duration};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::mpsc::{Receiver, channel},
    time::timeout,
};

/// How long nothing must have changed before the folder is read: a file that is being written is
/// not complete.
const QUIET_TIME: Duration = Duration::from_millis(60);
/// The longest wait for that: a file that is written all the time must not delay the others.
const QUIET_WAIT_MAX: Duration = Duration::from_millis(400);

/// Watches until it is dropped.
pub struct FolderWatch {
    changes: Receiver<()>,
    /// `None` if the system does not notify of changes; then the caller polls.
    _watcher: Option<RecommendedWatcher>,
}

impl FolderWatch {
    /// Watches `folder` for changes.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let (sender, changes) = channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Reading the folder is an event as well.
            if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
                // If a notification is still queued, it covers this change as well.
                let _ = sender.try_send(());
            }
        });
        let watcher = watcher.and_then(|mut watcher| {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        if let Err(error) = &watcher {
            tracing::debug!(%error, folder = %folder.display(), "cannot watch the plugins folder");
        }
        Self { changes, _watcher: watcher.ok() }
    }

    /// Resolves when something has changed and the changes have come to rest.
    pub async fn changed(&mut self) {
        if self.changes.recv().await.is_none() {
            // Without a watcher there are no notifications.
            std::future::pending::<()>().await;
        }
        let quiet =
            async { while let Ok(Some(())) = timeout(QUIET_TIME, self.changes.recv()).await {} };
        let _ = timeout(QUIET_WAIT_MAX, quiet).await;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_file_that_is_written_and_one_that_is_removed_are_heard() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = FolderWatch::new(folder.path());
        let patience = Duration::from_secs(20);
        fs::write(folder.path().join("a.wasm"), "a").unwrap();
        timeout(patience, watch.changed()).await.expect("a new file is not heard of");
        fs::read(folder.path().join("a.wasm")).unwrap();
        fs::remove_file(folder.path().join("a.wasm")).unwrap();
        timeout(patience, watch.changed()).await.expect("a removal is not heard of");
    }
}
