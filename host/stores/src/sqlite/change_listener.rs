//! The bell: how one process learns that another has written.
//!
//! A commit first appends to the file's write-ahead log and only then, by
//! shared memory, makes that visible (SQLite: "WAL-mode File Format"). So the
//! notification of the append comes too early to see anything, and shared
//! memory gives none. Whoever has committed therefore touches the log, and
//! that touch is what the others listen for. Nobody rings for reading, so
//! listening never causes what it listens for.
//!
//! Casts have a bell of their own, a file beside the log: many are written, and
//! who follows the roster need not wake for them. Who follows casts hears both,
//! since a claim goes with a session.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::ModifyKind};

use super::database_path::{log_path, parent_folder, sibling_path};

/// Listens as long as it lives.
pub(super) struct ChangeListener {
    _watcher: RecommendedWatcher,
}

impl ChangeListener {
    /// Calls `heard` after each commit to the file at `path`, this process's included.
    pub(super) fn listen(path: &Path, heard: impl Fn() + Send + 'static) -> notify::Result<Self> {
        Self::listen_to(path, &[log_path(path)], heard)
    }

    /// Calls `heard` after each change of casts or of sessions.
    pub(super) fn listen_to_casts(
        path: &Path,
        heard: impl Fn() + Send + 'static,
    ) -> notify::Result<Self> {
        Self::listen_to(path, &[log_path(path), cast_signal_path(path)], heard)
    }

    fn listen_to(
        path: &Path,
        bells: &[PathBuf],
        heard: impl Fn() + Send + 'static,
    ) -> notify::Result<Self> {
        let names = bells.iter().filter_map(|bell| bell.file_name().map(ToOwned::to_owned));
        let names: Vec<_> = names.collect();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_touch(&event, &names)) {
                heard();
            }
        })?;
        // The folder and not the log: the log comes and goes with the connections.
        watcher.watch(parent_folder(path), RecursiveMode::NonRecursive)?;
        Ok(Self { _watcher: watcher })
    }
}

/// Tells the listeners of the file at `path` that something was committed.
pub(super) fn notify_change(path: &Path) {
    touch_file(path, fs::File::options().append(true).open(log_path(path)));
}

/// Tells those who listen to casts.
pub(super) fn notify_casts(path: &Path) {
    touch_file(path, fs::File::options().append(true).create(true).open(cast_signal_path(path)));
}

fn touch_file(path: &Path, bell: io::Result<fs::File>) {
    if let Err(error) = bell.and_then(|bell| touch(&bell)) {
        // The others look a few times a second anyway.
        tracing::debug!(%error, path = %path.display(), "cannot tell of a change");
    }
}

/// Both times, since a change of the modification time alone looks like an
/// append (Linux: `fsnotify_change`, `IN_ATTRIB` against `IN_MODIFY`).
///
/// SQLite's locks are on the database and on its shared memory, so opening and
/// closing the log does not drop them (`fcntl(2)`: any close drops a file's locks).
fn touch(log: &fs::File) -> io::Result<()> {
    let now = SystemTime::now();
    let times = fs::FileTimes::new().set_accessed(now).set_modified(now);
    log.set_times(times)
}

fn is_touch(event: &Event, bells: &[OsString]) -> bool {
    let touched = matches!(
        event.kind,
        EventKind::Any | EventKind::Modify(ModifyKind::Any | ModifyKind::Metadata(_))
    );
    let rung = |path: &PathBuf| bells.iter().any(|bell| path.file_name() == Some(bell));
    touched && event.paths.iter().any(rung)
}

fn cast_signal_path(path: &Path) -> PathBuf {
    sibling_path(path, "-casts")
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
        let (heard, bell) = mpsc::channel();
        let _listening = ChangeListener::listen(&path, move || heard.send(()).unwrap()).unwrap();
        fs::write(log_path(&path), "appended").unwrap();
        fs::write(&path, "checkpointed").unwrap();
        assert!(bell.recv_timeout(Duration::from_millis(100)).is_err());
        notify_casts(&path);
        assert!(bell.recv_timeout(Duration::from_millis(100)).is_err());
        notify_change(&path);
        bell.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn casts_are_heard_and_the_rest_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        fs::write(log_path(&path), "").unwrap();
        let (heard, bell) = mpsc::channel();
        let _listening =
            ChangeListener::listen_to_casts(&path, move || heard.send(()).unwrap()).unwrap();
        // The first makes its file.
        for ring in [notify_casts, notify_change, notify_casts] {
            ring(&path);
            bell.recv_timeout(Duration::from_secs(10)).unwrap();
            while bell.recv_timeout(Duration::from_millis(50)).is_ok() {}
        }
    }
}
