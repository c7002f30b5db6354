//! How one process learns that another has written to the store.
//!
//! A commit first appends to the write-ahead log, and only then makes the change visible through
//! shared memory (SQLite: "WAL-mode File Format"). So the notification of the append comes too
//! early for a reader, and the shared memory causes none. Therefore whoever has committed touches
//! the log, and the other processes listen for that touch. Reads touch nothing, so listening never
//! triggers itself.
//!
//! Changes of queued calls are signalled through a separate file next to the log: there are many of
//! them, and processes that follow the roster need not wake up for them. Whoever follows queued
//! calls listens to both files, because claims disappear with their sessions.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::ModifyKind};

use super::database_path::{log_path, parent_folder, sibling_path};

/// Listens for changes until it is dropped.
pub(super) struct ChangeListener {
    _watcher: RecommendedWatcher,
}

impl ChangeListener {
    /// Calls `on_change` after each commit to the database at `path`, including those of this
    /// process.
    pub(super) fn listen(
        path: &Path,
        on_change: impl Fn() + Send + 'static,
    ) -> notify::Result<Self> {
        Self::listen_to(path, &[log_path(path)], on_change)
    }

    /// Calls `on_change` after each change of queued calls or of sessions.
    pub(super) fn listen_to_call_queue(
        path: &Path,
        on_change: impl Fn() + Send + 'static,
    ) -> notify::Result<Self> {
        Self::listen_to(path, &[log_path(path), call_queue_signal_path(path)], on_change)
    }

    fn listen_to(
        path: &Path,
        files: &[PathBuf],
        on_change: impl Fn() + Send + 'static,
    ) -> notify::Result<Self> {
        let names = files.iter().filter_map(|file| file.file_name().map(ToOwned::to_owned));
        let names: Vec<_> = names.collect();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_touch(&event, &names)) {
                on_change();
            }
        })?;
        // Watches the folder rather than the log, because the log comes and goes with the
        // connections.
        watcher.watch(parent_folder(path), RecursiveMode::NonRecursive)?;
        Ok(Self { _watcher: watcher })
    }
}

/// Notifies the listeners of the database at `path` of a commit.
pub(super) fn notify_change(path: &Path) {
    touch_file(path, fs::File::options().append(true).open(log_path(path)));
}

/// Notifies those that listen for changes of queued calls.
pub(super) fn notify_call_queue(path: &Path) {
    touch_file(
        path,
        fs::File::options().append(true).create(true).open(call_queue_signal_path(path)),
    );
}

fn touch_file(path: &Path, file: io::Result<fs::File>) {
    if let Err(error) = file.and_then(|file| touch(&file)) {
        // The other processes also check a few times per second.
        tracing::debug!(%error, path = %path.display(), "cannot tell of a change");
    }
}

/// Sets both times, since a change of the modification time alone looks like an append (Linux:
/// `fsnotify_change`, `IN_ATTRIB` and `IN_MODIFY`).
///
/// SQLite locks the database and its shared memory, not the log, so opening and closing the log
/// here drops none of its locks (`fcntl(2)`: closing any descriptor of a file drops the process's
/// locks on it).
fn touch(log: &fs::File) -> io::Result<()> {
    let now = SystemTime::now();
    let times = fs::FileTimes::new().set_accessed(now).set_modified(now);
    log.set_times(times)
}

fn is_touch(event: &Event, files: &[OsString]) -> bool {
    let touched = matches!(
        event.kind,
        EventKind::Any | EventKind::Modify(ModifyKind::Any | ModifyKind::Metadata(_))
    );
    let is_listened_to = |path: &PathBuf| files.iter().any(|file| path.file_name() == Some(file));
    touched && event.paths.iter().any(is_listened_to)
}

fn call_queue_signal_path(path: &Path) -> PathBuf {
    sibling_path(path, "-calls")
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[test]
    fn a_touch_of_the_log_is_heard_and_an_append_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        fs::write(log_path(&path), "").unwrap();
        let (notify, notified) = mpsc::channel();
        let _listening = ChangeListener::listen(&path, move || notify.send(()).unwrap()).unwrap();
        fs::write(log_path(&path), "appended").unwrap();
        fs::write(&path, "checkpointed").unwrap();
        assert!(notified.recv_timeout(Duration::from_millis(100)).is_err());
        notify_call_queue(&path);
        assert!(notified.recv_timeout(Duration::from_millis(100)).is_err());
        notify_change(&path);
        notified.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn queued_calls_are_heard_and_the_rest_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        fs::write(log_path(&path), "").unwrap();
        let (notify, notified) = mpsc::channel();
        let _listening =
            ChangeListener::listen_to_call_queue(&path, move || notify.send(()).unwrap()).unwrap();
        // The first one creates its file.
        for notify in [notify_call_queue, notify_change, notify_call_queue] {
            notify(&path);
            notified.recv_timeout(Duration::from_secs(10)).unwrap();
            while notified.recv_timeout(Duration::from_millis(50)).is_ok() {}
        }
    }
}
