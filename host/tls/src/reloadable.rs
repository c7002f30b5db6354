//! What is made of files, and made anew when they change.

use std::{error::Error, path::PathBuf, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::watch,
    task::{spawn, spawn_blocking},
    time::{Instant, timeout},
};

use soloist_config::small_file::FileStamp;
use soloist_text::with_causes;

/// How often the files are looked at, at most: whoever asks does not pay for it each time.
const EVERY: Duration = Duration::from_secs(1);
/// How long who asks waits for that: a file system that hangs does not hold up those who can
/// do with what there was.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is made of some files, as they are now, or were when they were last of use.
pub struct Reloadable<T>(Arc<ReloadState<T>>);

struct ReloadState<T> {
    source: FileSource<T>,
    current: watch::Sender<Arc<T>>,
    last_check: Mutex<LastCheck>,
    /// Whether somebody is looking; whoever asks meanwhile waits for what that shows.
    checking: watch::Sender<bool>,
}

/// Where it comes from.
struct FileSource<T> {
    files: Vec<PathBuf>,
    make: Box<dyn Fn() -> Result<T, String> + Send + Sync>,
}

/// What was seen of the files.
struct LastCheck {
    at: Instant,
    stamps: Vec<Option<FileStamp>>,
}

/// What there is of the files, and what was made of them if they have changed.
type CheckResult<T> = (Vec<Option<FileStamp>>, Option<Result<T, String>>);

impl<T: Send + Sync + 'static> Reloadable<T> {
    /// What `make` makes of `files`.
    pub fn new<E: Error>(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // What changes in between is made once more.
        let stamps = stamps(&files);
        let current = watch::Sender::new(Arc::new(make()?));
        let make = Box::new(move || make().map_err(|error| with_causes(&error)));
        let looked = Mutex::new(LastCheck { at: Instant::now(), stamps });
        let (source, looking) = (FileSource { files, make }, watch::Sender::new(false));
        Ok(Self(Arc::new(ReloadState { source, current, last_check: looked, checking: looking })))
    }

    /// What there is now.
    pub async fn get(&self) -> Arc<T> {
        if let Some(mut look) = self.0.check_if_due() {
            let _ = timeout(PATIENCE, look.wait_for(|looking| !looking)).await;
        }
        Arc::clone(&self.0.current.borrow())
    }
}

impl<T: Send + Sync + 'static> ReloadState<T> {
    /// Tells of the end of a look, if there is one to wait for.
    fn check_if_due(self: &Arc<Self>) -> Option<watch::Receiver<bool>> {
        if self.source.files.is_empty() {
            return None;
        }
        // Held, so that of those who find that it is time one looks.
        let looked = self.lock_last_check();
        if !*self.checking.borrow() {
            if looked.at.elapsed() < EVERY {
                return None;
            }
            self.checking.send_replace(true);
            spawn(Arc::clone(self).check(looked.stamps.clone()));
        }
        Some(self.checking.subscribe())
    }

    async fn check(self: Arc<Self>, before: Vec<Option<FileStamp>>) {
        let own = Arc::clone(&self);
        let seen = spawn_blocking(move || {
            let stamps = stamps(&own.source.files);
            let made = (stamps != before).then(|| (own.source.make)());
            (stamps, made)
        });
        // It only fails when the host ends.
        if let Ok(seen) = seen.await {
            self.apply(seen);
        }
        self.checking.send_replace(false);
    }

    fn apply(&self, (stamps, made): CheckResult<T>) {
        *self.lock_last_check() = LastCheck { at: Instant::now(), stamps };
        let files = self.source.files.iter().map(|file| file.display().to_string());
        let files = files.collect::<Vec<_>>().join(", ");
        match made {
            None => {}
            Some(Ok(new)) => {
                tracing::info!(event = "reread", files, "read anew: {files}");
                self.current.send_replace(Arc::new(new));
            }
            Some(Err(error)) => {
                tracing::warn!(files, error, "the new files are of no use, the old ones go on");
            }
        }
    }

    fn lock_last_check(&self) -> MutexGuard<'_, LastCheck> {
        self.last_check.lock()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<FileStamp>> {
    files.iter().map(|file| FileStamp::of(file)).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::mpsc::channel};

    use tokio::join;

    use super::*;

    #[tokio::test]
    async fn what_is_of_no_use_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        fs::write(&file, "1").unwrap();
        let path = file.clone();
        let read = move || fs::read_to_string(&path).unwrap().parse::<u32>();
        let fresh = Reloadable::new(vec![file.clone()], read).unwrap();
        let get = async || {
            fresh.0.lock_last_check().at -= EVERY;
            *fresh.get().await
        };
        assert_eq!(get().await, 1);
        fs::write(&file, "two").unwrap();
        assert_eq!(get().await, 1);
        fs::write(&file, "22").unwrap();
        assert_eq!(get().await, 22);
        // As orchestrators and certbot do it: another file takes the place.
        fs::write(folder.path().join("new"), "33").unwrap();
        fs::rename(folder.path().join("new"), &file).unwrap();
        assert_eq!(get().await, 33);
        assert_eq!(*fresh.get().await, 33);
    }

    /// A file with a 1 that is read when that is let, and holds a 2 since then; it is time to
    /// look.
    fn slow() -> (Arc<Reloadable<u32>>, std::sync::mpsc::Sender<()>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        fs::write(&file, "1").unwrap();
        let (let_it, may) = channel::<()>();
        let (path, may) = (file.clone(), Mutex::new(may));
        let read = move || {
            // Whoever lets it has gone at the end of a test.
            let _ = may.lock().recv();
            fs::read_to_string(&path).unwrap().parse::<u32>()
        };
        let_it.send(()).unwrap();
        let fresh = Reloadable::new(vec![file.clone()], read).unwrap();
        fs::write(&file, "22").unwrap();
        fresh.0.lock_last_check().at -= EVERY;
        (Arc::new(fresh), let_it, folder)
    }

    #[tokio::test]
    async fn who_asks_while_another_reads_waits_for_what_is_read() {
        let (fresh, let_it, _folder) = slow();
        let both = async { join!(fresh.get(), fresh.get()) };
        let let_both = async { let_it.send(()).unwrap() };
        let ((first, second), ()) = join!(both, let_both);
        assert_eq!((*first, *second), (22, 22));
    }

    #[tokio::test]
    async fn files_that_hang_hold_nobody_up_for_long() {
        let (fresh, let_it, _folder) = slow();
        let begun = Instant::now();
        assert_eq!(*fresh.get().await, 1);
        assert!(begun.elapsed() < 5 * PATIENCE);
        let_it.send(()).unwrap();
        assert_eq!(*fresh.get().await, 22);
    }
}
