//! Hears of changes in the plugins folder.

use std::{path::Path, time::Duration};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::mpsc::{Receiver, channel},
    time::timeout,
};

/// How long nothing must have changed before anything is read: a file that is being
/// written is not complete.
const QUIET: Duration = Duration::from_millis(60);
/// The longest wait for that: one file that is written all the time must not hold up
/// all others.
const LONGEST: Duration = Duration::from_millis(400);

/// Listens as long as it lives.
pub struct FolderWatch {
    heard: Receiver<()>,
    /// Nothing, where the system tells of no changes; whoever waits looks by itself.
    _watcher: Option<RecommendedWatcher>,
}

impl FolderWatch {
    /// Listens for changes in `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let (tell, heard) = channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // The folder itself is read all the time.
            if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
                // One that was not taken yet stands for this one as well.
                let _ = tell.try_send(());
            }
        });
        let watcher = watcher.and_then(|mut watcher| {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        if let Err(error) = &watcher {
            tracing::debug!(%error, folder = %folder.display(), "cannot watch the plugins folder");
        }
        Self { heard, _watcher: watcher.ok() }
    }

    /// Resolves when something has changed, and nothing changes any more.
    pub async fn changed(&mut self) {
        if self.heard.recv().await.is_none() {
            // Nobody tells.
            std::future::pending::<()>().await;
        }
        let quiet = async { while let Ok(Some(())) = timeout(QUIET, self.heard.recv()).await {} };
        let _ = timeout(LONGEST, quiet).await;
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
