//! The files of a project that are watched: all that git would keep.

use std::{
    collections::BTreeMap,
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

use ignore::WalkBuilder;
use tokio::time::sleep;

use super::dev_project::DevProject;
use crate::cli::ExitError;
use soloist_config::{
    inode::Inode,
    small_file::{self, FileStamp},
};

/// How often the files are looked at. Walking a folder of some hundred files takes one or two
/// milliseconds, and misses no change, unlike the file system's notifications.
const LOOK: Duration = Duration::from_millis(150);

/// The files that this program writes to, as in `soloist dev > log`: they change all the time.
static OWN_OUTPUT: LazyLock<Vec<Inode>> = LazyLock::new(|| {
    let both =
        [io::stdout().as_fd().try_clone_to_owned(), io::stderr().as_fd().try_clone_to_owned()];
    let files = both.into_iter().flatten().map(File::from);
    files.filter_map(|file| file.metadata().ok()).map(|about| Inode::of(&about)).collect()
});

type Files = BTreeMap<PathBuf, FileContent>;

/// The files at one moment.
#[derive(Debug)]
pub(super) struct ProjectFiles(Files);

/// Identifies the content of a file. A build may write the same content again.
#[derive(Clone, Debug)]
struct FileContent {
    stamp: FileStamp,
    digest: u64,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProjectChange {
    /// The sources.
    Sources,
    /// Only the settings.
    Settings,
}

impl ProjectFiles {
    /// The current files of `project`.
    pub(super) fn of(project: &DevProject) -> Result<Self, ExitError> {
        files(project.folder(), &Files::new()).map(Self)
    }

    /// Accepts files that the build has added, whether git ignores them or not.
    pub(super) fn take_made(&mut self, project: &DevProject) -> Result<(), ExitError> {
        for (file, content) in files(project.folder(), &self.0)? {
            self.0.entry(file).or_insert(content);
        }
        Ok(())
    }

    /// Waits for a change, and then until no more changes follow.
    pub(super) async fn changed(
        &mut self,
        project: &DevProject,
    ) -> Result<ProjectChange, ExitError> {
        let mut changes = Vec::new();
        loop {
            let now = files(project.folder(), &self.0)?;
            let more = changed(&self.0, &now);
            self.0 = now;
            if more.is_empty() && !changes.is_empty() {
                break;
            }
            changes.extend(more);
            sleep(LOOK).await;
        }
        let settings = project.settings();
        let settings = changes.iter().all(|file| Some(file) == settings.as_ref());
        Ok(if settings { ProjectChange::Settings } else { ProjectChange::Sources })
    }
}

/// The files that were added, changed or removed.
fn changed(before: &Files, now: &Files) -> Vec<PathBuf> {
    let other = |(file, content): &(&PathBuf, &FileContent)| {
        before.get(*file).is_none_or(|before| before.digest != content.digest)
    };
    let gone = before.keys().filter(|file| !now.contains_key(*file));
    now.iter().filter(other).map(|(file, _)| file).chain(gone).cloned().collect()
}

/// Every file below `folder` that git would keep, whether it is in a repository or not. Files
/// that are unchanged since `before` are not read again.
fn files(folder: &Path, before: &Files) -> Result<Files, ExitError> {
    let mut walk = WalkBuilder::new(folder);
    walk.require_git(false).filter_entry(|entry| !is_component(entry.path()));
    let mut files = Files::new();
    for entry in walk.build() {
        let entry = entry.map_err(|error| {
            ExitError::usage(format!("cannot look at {}", folder.display())).caused_by(&error)
        })?;
        let file = entry.into_path();
        // It may have been deleted meanwhile.
        let Ok(about) = file.metadata() else { continue };
        if !about.is_file() || OWN_OUTPUT.contains(&Inode::of(&about)) {
            continue;
        }
        let stamp = FileStamp::new(&about);
        let known = before.get(&file).filter(|before| before.stamp == stamp);
        let content = known.cloned().unwrap_or_else(|| FileContent::of(&file, stamp));
        files.insert(file, content);
    }
    Ok(files)
}

/// Components are the result of a build, so they are not sources.
fn is_component(path: &Path) -> bool {
    path.extension() == Some("wasm".as_ref())
}

impl FileContent {
    fn of(file: &Path, stamp: FileStamp) -> Self {
        let mut hasher = DefaultHasher::new();
        match small_file::read(file) {
            Ok(bytes) => bytes.hash(&mut hasher),
            // It is large or unreadable: every change of its stamp counts.
            Err(_) => stamp.hash(&mut hasher),
        }
        Self { stamp, digest: hasher.finish() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_git_ignores_and_what_is_written_again_is_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("gen")).unwrap();
        for (name, text) in [(".gitignore", "/gen\n"), ("main.py", "1"), ("hello.toml", "a = 1")] {
            fs::write(at(name), text).unwrap();
        }
        let before = files(folder.path(), &Files::new()).unwrap();
        for (name, text) in [("gen/x.py", "1"), ("hello.wasm", "\0asm"), (".hidden", "1")] {
            fs::write(at(name), text).unwrap();
        }
        fs::remove_file(at("main.py")).unwrap();
        fs::write(at("main.py"), "1").unwrap();
        let look = || changed(&before, &files(folder.path(), &before).unwrap());
        assert!(look().is_empty(), "{:?}", look());
        fs::write(at("main.py"), "2").unwrap();
        fs::remove_file(at("hello.toml")).unwrap();
        fs::write(at("new.py"), "").unwrap();
        assert_eq!(look(), ["main.py", "new.py", "hello.toml"].map(at));
    }
}
