//! The bell: how one process learns that another has written.
//!
//! A commit first appends to the file's write-ahead log and only then, by
//! shared memory, makes that visible (SQLite: "WAL-mode File Format"). So the
//! notification of the append comes too early to see anything, and shared
//! memory gives none. Whoever has committed therefore touches the log, and
//! that touch is what the others listen for. Nobody rings for reading, so
//! listening never causes what it listens for.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::ModifyKind};

/// Listens as long as it lives.
pub(super) struct Bell {
    _watcher: RecommendedWatcher,
}

impl Bell {
    /// Calls `heard` after each commit to the file at `path`, this process's included.
    pub(super) fn listen(path: &Path, heard: impl Fn() + Send + 'static) -> notify::Result<Self> {
        let log = log(path);
        let name = log.file_name().map(ToOwned::to_owned);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_touch(&event, name.as_deref())) {
                heard();
            }
        })?;
        // The folder and not the log: the log comes and goes with the connections.
        watcher.watch(super::folder(path), RecursiveMode::NonRecursive)?;
        Ok(Self { _watcher: watcher })
    }
}

/// Tells the listeners of the file at `path` that something was committed.
pub(super) fn ring(path: &Path) {
    if let Err(error) = touch(&log(path)) {
        // The others look four times a second anyway.
        tracing::debug!(%error, path = %path.display(), "cannot touch the write-ahead log");
    }
}

/// Both times, since a change of the modification time alone looks like an
/// append (Linux: `fsnotify_change`, `IN_ATTRIB` against `IN_MODIFY`).
///
/// SQLite's locks are on the database and on its shared memory, so opening and
/// closing the log does not drop them (`fcntl(2)`: any close drops a file's locks).
fn touch(log: &Path) -> io::Result<()> {
    let now = SystemTime::now();
    let times = fs::FileTimes::new().set_accessed(now).set_modified(now);
    fs::File::options().append(true).open(log)?.set_times(times)
}

fn is_touch(event: &Event, log: Option<&std::ffi::OsStr>) -> bool {
    let touched = matches!(
        event.kind,
        EventKind::Any | EventKind::Modify(ModifyKind::Any | ModifyKind::Metadata(_))
    );
    touched && event.paths.iter().any(|path| path.file_name() == log)
}

fn log(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    #[test]
    fn a_touch_of_the_log_is_heard_and_an_append_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        fs::write(log(&path), "").unwrap();
        let (heard, bell) = mpsc::channel();
        let _listening = Bell::listen(&path, move || heard.send(()).unwrap()).unwrap();
        fs::write(log(&path), "appended").unwrap();
        fs::write(&path, "checkpointed").unwrap();
        assert!(bell.recv_timeout(Duration::from_millis(100)).is_err());
        ring(&path);
        bell.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
