//! A value that is made from files, and made again when they change.

use std::{error::Error, path::PathBuf, sync::Arc, time::Duration};

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::watch,
    task::{spawn, spawn_blocking},
    time::{Instant, timeout},
};

use soloist_config::small_file::FileStamp;
use soloist_text::with_causes;

/// How often the files are checked at most, so that not every call has to.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a caller waits for a check. If the file system hangs, callers go on with the current
/// value.
const CHECK_TIMEOUT: Duration = Duration::from_secs(1);

/// A value made from files. If the current files are of no use, it is the last value that could be
/// made.
pub struct Reloadable<T>(Arc<ReloadState<T>>);

struct ReloadState<T> {
    source: FileSource<T>,
    current: watch::Sender<Arc<T>>,
    last_check: Mutex<LastCheck>,
    /// Whether a check is running. Callers wait for its result meanwhile.
    checking: watch::Sender<bool>,
}

/// The files, and how the value is made from them.
struct FileSource<T> {
    files: Vec<PathBuf>,
    make: Box<dyn Fn() -> Result<T, String> + Send + Sync>,
}

/// The files as they were at the last check.
struct LastCheck {
    at: Instant,
    stamps: Vec<Option<FileStamp>>,
}

/// The files as they are now, and the new value if they have changed.
type CheckResult<T> = (Vec<Option<FileStamp>>, Option<Result<T, String>>);

impl<T: Send + Sync + 'static> Reloadable<T> {
    /// The value that `make` makes from `files`.
    pub fn new<E: Error>(
        files: Vec<PathBuf>,
        make: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // Taken first: a change in between makes the value once more.
        let stamps = stamps(&files);
        let current = watch::Sender::new(Arc::new(make()?));
        let make = Box::new(move || make().map_err(|error| with_causes(&error)));
        let last_check = Mutex::new(LastCheck { at: Instant::now(), stamps });
        let (source, checking) = (FileSource { files, make }, watch::Sender::new(false));
        Ok(Self(Arc::new(ReloadState { source, current, last_check, checking })))
    }

    /// The current value.
    pub async fn get(&self) -> Arc<T> {
        if let Some(mut look) = self.0.check_if_due() {
            let _ = timeout(CHECK_TIMEOUT, look.wait_for(|checking| !checking)).await;
        }
        Arc::clone(&self.0.current.borrow())
    }
}

impl<T: Send + Sync + 'static> ReloadState<T> {
    /// Starts a check if one is due. Returns a watch on its end, or `None` if there is nothing to
    /// wait for.
    fn check_if_due(self: &Arc<Self>) -> Option<watch::Receiver<bool>> {
        if self.source.files.is_empty() {
            return None;
        }
        // Held so that only one of several callers starts a check.
        let last_check = self.lock_last_check();
        if !*self.checking.borrow() {
            if last_check.at.elapsed() < CHECK_INTERVAL {
                return None;
            }
            self.checking.send_replace(true);
            spawn(Arc::clone(self).check(last_check.stamps.clone()));
        }
        Some(self.checking.subscribe())
    }

    async fn check(self: Arc<Self>, before: Vec<Option<FileStamp>>) {
        let own = Arc::clone(&self);
        let result = spawn_blocking(move || {
            let stamps = stamps(&own.source.files);
            let made = (stamps != before).then(|| (own.source.make)());
            (stamps, made)
        });
        // This fails only when the host ends.
        if let Ok(result) = result.await {
            self.apply(result);
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
                tracing::info!(event = "reread", files, "read again: {files}");
                self.current.send_replace(Arc::new(new));
            }
            Some(Err(error)) => {
                tracing::warn!(
                    files,
                    error,
                    "the new files cannot be used; the previous certificate stays in use"
                );
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
            fresh.0.lock_last_check().at -= CHECK_INTERVAL;
            *fresh.get().await
        };
        assert_eq!(get().await, 1);
        fs::write(&file, "two").unwrap();
        assert_eq!(get().await, 1);
        fs::write(&file, "22").unwrap();
        assert_eq!(get().await, 22);
        // As orchestrators and certbot do: another file is moved into place.
        fs::write(folder.path().join("new"), "33").unwrap();
        fs::rename(folder.path().join("new"), &file).unwrap();
        assert_eq!(get().await, 33);
        assert_eq!(*fresh.get().await, 33);
    }

    /// A value of 1 whose next read blocks until it is released; the file holds 22 by then, and a
    /// check is due.
    fn slow() -> (Arc<Reloadable<u32>>, std::sync::mpsc::Sender<()>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        fs::write(&file, "1").unwrap();
        let (let_it, may) = channel::<()>();
        let (path, may) = (file.clone(), Mutex::new(may));
        let read = move || {
            // The sender is gone at the end of a test.
            let _ = may.lock().recv();
            fs::read_to_string(&path).unwrap().parse::<u32>()
        };
        let_it.send(()).unwrap();
        let fresh = Reloadable::new(vec![file.clone()], read).unwrap();
        fs::write(&file, "22").unwrap();
        fresh.0.lock_last_check().at -= CHECK_INTERVAL;
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
        assert!(begun.elapsed() < 5 * CHECK_TIMEOUT);
        let_it.send(()).unwrap();
        assert_eq!(*fresh.get().await, 22);
    }
}
