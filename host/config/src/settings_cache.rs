//! Caches the settings files next to plugins. They are looked at every few seconds, and unchanged
//! files are not read again.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;

use super::{small_file::FileStamp, source_file::SourceFile};

/// The files that were read, with their stamp and content.
#[derive(Debug, Default)]
pub(super) struct SettingsCache(Mutex<BTreeMap<PathBuf, (FileStamp, SourceFile)>>);

impl SettingsCache {
    /// The current content of the file at `path`.
    ///
    /// # Errors
    /// It cannot be read, is too large, or is not a regular file.
    pub(super) fn open(&self, path: &Path) -> io::Result<SourceFile> {
        // Take the stamp before reading: a write in between is noticed the next time.
        let stamp = FileStamp::of(path);
        let mut kept = self.0.lock();
        if let Some((before, source)) = kept.get(path)
            && stamp == Some(*before)
        {
            return Ok(source.clone());
        }
        kept.remove(path);
        let source = SourceFile::open_file(path.to_owned())?;
        if let Some(stamp) = stamp.filter(FileStamp::is_conclusive) {
            kept.insert(path.to_owned(), (stamp, source.clone()));
        }
        Ok(source)
    }

    /// Drops all files for which `is_there` is false.
    pub(super) fn retain(&self, is_there: impl Fn(&Path) -> bool) {
        let mut kept = self.0.lock();
        kept.retain(|path, _| is_there(path));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

    use super::*;

    /// The number that is the whole content of `source`.
    fn number(source: &SourceFile) -> i64 {
        source.parse::<BTreeMap<String, i64>>().unwrap()["n"]
    }

    #[test]
    fn what_has_not_changed_is_not_read_again_and_what_has_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("web.toml");
        let kept = SettingsCache::default();
        fs::write(&file, "n = 1").unwrap();
        assert_eq!(number(&kept.open(&file).unwrap()), 1);
        assert!(kept.0.lock().is_empty(), "it may be written again in this very tick");
        while FileStamp::of(&file).is_none_or(|stamp| !stamp.is_conclusive()) {
            std::thread::yield_now();
        }
        assert_eq!(number(&kept.open(&file).unwrap()), 1);
        let (stamp, _) = kept.0.lock()[&file];
        kept.0.lock().insert(file.clone(), (stamp, SourceFile::new(file.clone(), "n = 9".into())));
        assert_eq!(number(&kept.open(&file).unwrap()), 9, "what was kept");
        // Same length, and an old modification time: the change is noticed all the same.
        fs::write(&file, "n = 2").unwrap();
        let long_ago = Timespec { tv_sec: 1, tv_nsec: 0 };
        let times = Timestamps { last_access: long_ago, last_modification: long_ago };
        utimensat(CWD, &file, &times, AtFlags::empty()).unwrap();
        assert_eq!(number(&kept.open(&file).unwrap()), 2);
        kept.retain(|_| false);
        assert!(kept.0.lock().is_empty());
        fs::remove_file(&file).unwrap();
        assert!(kept.open(&file).is_err());
    }
}
